"""Files by name -> files on disk: the one effect of rendering.

In: a directory, and for each path below it the content: text, bytes, or a file to copy. Out: the files, each
written beside its place and renamed. A file that somebody wrote by hand is never replaced.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable

Content = str | bytes | Path


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files of a target by their paths. `owned` are written again each time; `once` are people's, and
    written when they are not there."""

    owned: Mapping[str, str]
    once: Mapping[str, str] = field(default_factory=dict)


def emit_rendered(directory: Path, rendered: Rendered, mark: str) -> list[Path]:
    """Write them, and return the paths of those that were written. Raises BuildError as `emit` does."""
    commented = [name for name in rendered.owned if not name.endswith(".json")]
    new = {name: text for name, text in rendered.once.items() if not (directory / name).exists()}
    return emit(directory, {**rendered.owned, **new}, mark, commented)


def emit(directory: Path, files: Mapping[str, Content], mark: str, marked: Iterable[str]) -> list[Path]:
    """Write the files; returns their paths. `marked` are those whose first line begins with `mark`.

    Raises BuildError, before anything is written, when one of these is there without it.
    """
    for name in marked:
        _refuse_foreign(directory / name, mark)
    try:
        return [_write(directory / name, content) for name, content in files.items()]
    except OSError as error:
        raise BuildError(f"cannot write to {directory}: {error.strerror}: {error.filename}") from error


def _refuse_foreign(path: Path, mark: str) -> None:
    if path.is_file() and not path.read_text(encoding="utf-8", errors="replace").startswith(mark):
        raise BuildError(
            f"{path} is there, and was not written by shipway",
            "move it away, or render into another directory with -o DIR",
        )


def _write(path: Path, content: Content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as sink:
        beside = Path(sink.name)
        try:
            if isinstance(content, Path):
                with content.open("rb") as source:
                    shutil.copyfileobj(source, sink)
            else:
                sink.write(content.encode() if isinstance(content, str) else content)
            sink.flush()
            executable = isinstance(content, Path) and bool(content.stat().st_mode & 0o100)
            beside.chmod(0o755 if executable else 0o644)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    return path
