"""Files of a plan -> COPY instructions: whole directories where that is exact.

In: files with their sources below the context, which .dockerignore has reduced to just these. Out: one
instruction a directory or file.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shipway.plan.image import File


def copies(files: Sequence[File], below: str = "") -> Iterator[str]:
    """COPY instructions for these files, to their places `below` a directory.

    Whole directories where the allow-list leaves just what belongs. Any directory that is taken apart is
    copied file by file, so that nothing lands in two places.
    """
    pairs = {_lift(file, files) for file in files}
    for source, target in sorted(pairs):
        yield f"COPY {words(source, f'{below}{target}')}"


def _lift(file: File, files: Sequence[File]) -> tuple[str, str]:
    """The highest directory that can be copied whole and holds this file, or the file itself."""
    source, target = PurePosixPath(file.source), PurePosixPath(file.path)
    best = (str(source), str(target))
    while source.parent.name and (source.name == target.name or best[0] == file.source):
        source, target = source.parent, target.parent
        if not _whole(source, target, files):
            break
        best = (f"{source}/", f"{target}/")
    return best


def _whole(source: PurePosixPath, target: PurePosixPath, files: Sequence[File]) -> bool:
    below = [f for f in files if PurePosixPath(f.source).is_relative_to(source)]
    places = {PurePosixPath(f.path) for f in below}
    wanted = {target / PurePosixPath(f.source).relative_to(source) for f in below}
    return places == wanted and target.is_relative_to(contract.APP) and str(target) != contract.APP


def words(source: str, target: str) -> str:
    """Two paths, quoted as JSON where one has a space, and `$` kept from being a variable."""
    plain = f"{source} {target}".replace("$", "\\$")
    if any(" " in path or '"' in path for path in (source, target)):
        return json.dumps([source.replace("$", "\\$"), target.replace("$", "\\$")], ensure_ascii=False)
    return plain
