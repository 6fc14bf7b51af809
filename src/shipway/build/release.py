"""What was built -> release.json.

In: the built images, agent.toml and the project. Out: `.shipway/release.json`, the value that deployments
start from. Its id depends on what runs alone (images, prompts, tools), so the same build has the same id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import shipway
from shipway.build.cache import digest_of
from shipway.build.contents import list_contents, tools_digest
from shipway.build.writing import replace_text
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shipway.build.cache import Cache
    from shipway.build.image import BuiltImage
    from shipway.spec.model import Spec
    from shipway.spec.project import Project


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
    """Write release.json into the project's `.shipway`; returns its path."""
    path = directory / "release.json"
    replace_text(path, contract.encode(release))
    return path
