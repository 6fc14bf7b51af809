"""Rules about what a Dockerfile stands on: tags, digests, and what a base brings for no use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.subject import Dockerfile

_SMALL = re.compile(r"slim|alpine|distroless|minimal|micro|chiseled|wolfi")
_FULL = {
    "python": "compilers, headers and version control, about 1 GB",
    "node": "compilers, headers and version control, about 1 GB",
    "buildpack-deps": "compilers, headers and version control",
    "miniconda3": "a whole conda installation",
    "anaconda3": "several gigabytes of packages",
    "pytorch": "several gigabytes of CUDA",
    "jupyter": "a notebook server",
}


@dataclass(frozen=True, slots=True)
class Image:
    """An image by name: `name` is the last part of its repository."""

    text: str
    name: str
    tag: str
    digest: str

    @property
    def small(self) -> bool:
        """Whether name or tag say that it is a reduced one."""
        return bool(_SMALL.search(self.text))


def read_image(text: str) -> Image:
    """The parts of a reference, whatever is wrong with it."""
    head, _, digest = text.partition("@")
    name, _, tag = head.rpartition("/")[2].partition(":")
    return Image(text, name, tag, digest)


def _outside(dockerfile: Dockerfile) -> Iterator[tuple[Image, int]]:
    """Every image of a registry that the file names, and where."""
    names = {stage.name for stage in dockerfile.stages.all}
    for stage in dockerfile.stages.all:
        if stage.image:
            yield read_image(stage.image), stage.start.line
        for instruction in stage.all("COPY"):
            source = instruction.flag("from")
            if source and source.lower() not in names and not source.isdigit() and "$" not in source:
                yield read_image(source), instruction.line


def tag_is_given(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Every image is named with a tag other than `latest`.

    `latest` is another image tomorrow: the same Dockerfile gives another Python, and nobody changed anything.
    """
    for image, line in _outside(dockerfile):
        if not image.digest and image.tag in ("", "latest"):
            seen = "has no tag, which means `latest`" if not image.tag else "is `latest`"
            fix = f"name a version, such as {_suggested(image)}"
            yield Seen(f"{image.text} {seen}: another image tomorrow", fix, line)


def _suggested(image: Image) -> str:
    known = {"python": "python:3.13-slim", "node": "node:24-slim", "uv": "ghcr.io/astral-sh/uv:0.9.17"}
    return known.get(image.name, f"{image.text.partition(':')[0]}:1.2.3")


def digest_is_given(dockerfile: Dockerfile) -> Iterator[Seen]:
    """The image's base is named by digest.

    A tag can be moved. A digest makes a rebuild the same, and a change of the base a change that somebody
    reviews; Renovate and Dependabot keep digests up to date.
    """
    base = dockerfile.stages.base
    if base.image:
        image = read_image(base.image)
        if not image.digest and image.tag not in ("", "latest"):
            fix = f"write {image.text}@sha256:…; `docker buildx imagetools inspect {image.text}` shows it"
            yield Seen(f"{image.text} is a tag, which can be moved", fix, base.start.line)


def base_is_small(dockerfile: Dockerfile) -> Iterator[Seen]:
    """The image stands on a base that holds what an agent needs to run, not what it needs to be built.

    Compilers, headers and version control make every pull slower and are a workshop for whoever gets in. What
    needs them belongs into a stage that is left behind.
    """
    base = dockerfile.stages.base
    if not base.image:
        return
    image = read_image(base.image)
    fix = f"stand on {image.name}:…-slim, and compile in a stage of its own if something must be compiled"
    brings = _FULL.get(image.name)
    if image.name in ("cuda", "pytorch") and "devel" in image.tag:
        brings, fix = "CUDA's compilers, several gigabytes", "stand on the `runtime` or `base` variant"
    if brings and not image.small:
        yield Seen(f"{image.text} brings {brings}", fix, base.start.line)
