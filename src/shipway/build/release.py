"""What was built -> release.json.

In: the built images, agent.toml and the project. Out: `.shipway/release.json`, the value that deployments
start from. Its id depends on what runs alone (images, prompts, tools), so the same build has the same id.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import shipway
from shipway.build.cache import digest_of
from shipway.build.contents import list_contents, tools_digest
from shipway.build.registries.reference import without_tag
from shipway.build.writing import replace_text
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shipway.build.cache import Cache
    from shipway.build.image import BuiltImage
    from shipway.spec.model import Spec
    from shipway.spec.project import Project


FILE = "release.json"
CONTROL = "control"


def make_release(
    spec: Spec, images: Sequence[BuiltImage], project: Project, cache: Cache
) -> contract.Release:
    """The release of these images."""
    references = {role: image.reference for image in images for role in (image.role, *image.also)}
    contents = list_contents(spec, project, images, cache)
    tools = tools_digest(contents.tools)
    return contract.Release(
        shipway=shipway.__version__,
        name=spec.name,
        source=project.source,
        images=references,
        prompts=project.prompts_digest,
        tools=tools,
        id=digest_of("release", references, project.prompts_digest, tools)[:12],
        contents=contents,
    )


def write_release(release: contract.Release, directory: Path) -> Path:
    """Write release.json into the project's `.shipway`; returns its path.

    Control's image, which `add_control` has put into the one before, stays while shipway's version does.
    """
    path = directory / FILE
    before = _read(path)
    if before and before.shipway == release.shipway and CONTROL in before.images:
        kept = {CONTROL: before.images[CONTROL]}
        release = dataclasses.replace(release, images=release.images | kept)
    replace_text(path, contract.encode(release))
    return path


def add_control(reference: str, directory: Path) -> Path | None:
    """Name control's image in the release that is in `.shipway`; None where there is none.

    It is no part of the release's id: the same agent with another control is the same release.
    """
    path = directory / FILE
    release = _read(path)
    if release is None:
        return None
    name, _, digest = reference.partition("@")
    images = release.images | {CONTROL: f"{without_tag(name)}@{digest}"}
    replace_text(path, contract.encode(dataclasses.replace(release, images=images)))
    return path


def _read(path: Path) -> contract.Release | None:
    """The release that is there already; what cannot be read is replaced."""
    try:
        return contract.decode(contract.Release, path.read_bytes(), str(path))
    except (OSError, UnicodeDecodeError, contract.ContractError):
        return None
