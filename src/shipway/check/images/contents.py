"""Rules about what is in an image for no use: its size, caches, compilers, what only developers need."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from shipway.build.size import LARGE
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.images.subject import Image

_WORTH = 1_000_000
"""Bytes: a cache that is smaller is not worth a word."""
_CACHES = {
    "pip": re.compile(r"(?:.*/)?\.cache/pip/.+"),
    "uv": re.compile(r"(?:.*/)?\.cache/uv/.+"),
    "poetry": re.compile(r"(?:.*/)?\.cache/pypoetry/.+"),
    "npm": re.compile(r"(?:.*/)?\.npm/_cacache/.+"),
    "apt": re.compile(r"var/(?:lib/apt/lists|cache/apt)/.+"),
    "conda": re.compile(r"opt/conda/pkgs/.+"),
}
_TOOLS = re.compile(
    r"usr/(?:local/)?bin/(?:[\w]+-linux-\w+-)?(gcc|g\+\+|cc|clang|make|cmake|cargo|rustc|go)(?:-\d+)?"
)
_DEVELOPERS = re.compile(
    r"(?:.*/)?(\.git|\.hg|\.svn|\.idea|\.vscode|\.pytest_cache|\.mypy_cache|\.ruff_cache|\.tox|\.nox)/.+"
)


def image_is_small(image: Image) -> Iterator[Seen]:
    """The image has less than 1 GB, unpacked.

    Every node that starts it pulls it first: a new replica is there in seconds or in minutes by that. An
    agent's own needs are seldom a tenth of it.
    """
    found = image.inspection
    if found.unpacked >= LARGE:
        message = f"it has {found.unpacked / 1e9:.1f} GB unpacked; most of it: {', '.join(_largest(image))}"
        yield Seen(message, f"`shipway inspect {image.reference}` shows all; drop or replace the largest")


def _largest(image: Image) -> list[str]:
    """The three largest packages, or directories of files that belong to none."""
    sizes: Counter[str] = Counter()
    for package in image.inspection.packages:
        sizes[f"{package.name} {package.version}"] += package.size
    for layer in image.inspection.layers:
        for share in layer.shares:
            if share.kind in ("project", "other"):
                top = share.place if share.kind == "project" else ""
                sizes.update({f"{top}/{part.name}": part.size for part in share.parts})
    return [f"{name} ({size / 1e6:.0f} MB)" for name, size in sizes.most_common(3)]


def layers_are_not_wasted(image: Image) -> Iterator[Seen]:
    """Layers hold little that later layers overwrite or remove.

    `RUN chown -R`, or removing in an instruction of its own what another one has made, leaves both in the
    image, and both are pulled.
    """
    found = image.inspection
    if found.wasted >= 20 * _WORTH and found.wasted > found.unpacked / 10:
        message = f"{found.wasted / 1e6:.0f} MB of its files are overwritten or removed by later layers"
        yield Seen(message, "COPY --chown=…; remove in the same RUN what it has made")


def caches_are_absent(image: Image) -> Iterator[Seen]:
    """No layer holds the cache of a package manager.

    It is a second copy of what was installed, which nothing ever reads.
    """
    sizes: Counter[str] = Counter()
    for file in image.files:
        sizes.update({name: file.size for name, pattern in _CACHES.items() if pattern.fullmatch(file.path)})
    for name, size in sizes.items():
        if size >= _WORTH:
            message = f"the cache of {name} is in it: {size / 1e6:.0f} MB"
            yield Seen(message, "RUN --mount=type=cache,…, or remove it in the same RUN")


def build_tools_are_absent(image: Image) -> Iterator[Seen]:
    """No compilers are in the image.

    They are hundreds of megabytes, and what an intruder would otherwise have to bring along.
    """
    found = {match[1] for f in image.files if f.visible and (match := _TOOLS.fullmatch(f.path))}
    if found:
        fix = "compile in a stage of its own, or stand on a slim base"
        yield Seen(f"it has what builds programs: {', '.join(sorted(found))}", fix)


def files_are_for_running(image: Image) -> Iterator[Seen]:
    """No version control and no caches of developers' tools are in the image.

    `.git` has every file that ever was in the repository, and whatever was committed by mistake.
    """
    sizes: Counter[str] = Counter()
    for file in image.files:
        if match := _DEVELOPERS.fullmatch(file.path):
            sizes[file.path[: match.end(1)]] += file.size
    for path, size in sorted(sizes.items()):
        yield Seen(
            f"/{path} is in it: {size / 1e6:.1f} MB", f"add {path.rpartition('/')[2]} to .dockerignore"
        )
