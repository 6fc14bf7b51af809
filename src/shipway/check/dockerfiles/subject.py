"""What rules for Dockerfiles look at: the file, read, and the directory that is its build context.

In: paths. Out: `Dockerfile`, or the finding that says why there is none. What .dockerignore keeps out of the
context is not in it.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.stages import Stages, read_stages
from shipway.check.dockerfiles.syntax import WORDS, Instruction, Source, parse
from shipway.errors import Finding
from shipway.spec.dockerignore import Ignore, parse_ignore

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("Dockerfile", "Dockerfile.*", "*.Dockerfile", "*.dockerfile", "Containerfile", "Containerfile.*")
WHOLE = frozenset({".", "./", "*", "./*"})
"""Sources of COPY that take the whole context."""
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Context:
    """The directory that is sent to the builder, and what stays behind. `ignore` is None without the file."""

    root: Path
    ignore: Ignore | None

    def has(self, path: str) -> bool:
        """Whether the file or directory is there, and is sent."""
        return not self.keeps_out(path) and (self.root / path).exists()

    def keeps_out(self, path: str) -> bool:
        """Whether .dockerignore keeps out a path, there or not."""
        return self.ignore is not None and self.ignore.has(path)

    def text(self, path: str) -> str | None:
        """The text of a file, None where there is none that a person would write."""
        file = self.root / path
        try:
            if self.keeps_out(path) or not file.is_file() or file.stat().st_size > _LARGEST:
                return None
            return file.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Copied:
    """What an instruction takes: `source` as the context has it, `target` in the image."""

    source: str
    target: str
    instruction: Instruction

    @property
    def whole(self) -> bool:
        """Whether it takes everything."""
        return self.source in WHOLE


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile with at least one stage. `file` is its name as findings say it."""

    file: str
    text: str
    source: Source
    stages: Stages
    context: Context

    def copied(self, instructions: Iterator[Instruction]) -> Iterator[Copied]:
        """What these instructions take from the context, one a source."""
        for instruction in instructions:
            if instruction.word in ("COPY", "ADD") and not instruction.flag("from"):
                *sources, target = instruction.words or ("",)
                for source in sources:
                    if not source.startswith("<<") and "://" not in source:
                        yield Copied(source.removeprefix("/") or ".", target, instruction)


def find_dockerfiles(directory: Path) -> list[Path]:
    """The Dockerfiles of a directory itself."""
    return sorted(
        path
        for path in directory.iterdir()
        if path.is_file()
        and any(fnmatch.fnmatch(path.name, pattern) for pattern in NAMES)
        and not path.name.endswith(".dockerignore")
    )


def read_dockerfile(path: Path, directory: Path) -> Dockerfile | Finding:
    """The file, or what is wrong with it. `directory` is the context, if what is copied is not beside it."""
    file = str(path)
    if path.exists() and not path.is_file():
        return _wrong("it is no file", "name a Dockerfile", file)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        return _wrong(f"it cannot be read: {error.strerror or error}", "name a file that is there", file)
    except UnicodeDecodeError:
        return _wrong("it is not UTF-8, so it is no Dockerfile", "save it as UTF-8", file)
    source = parse(text)
    for instruction in source.instructions:
        if instruction.word not in WORDS:
            seen = instruction.word[:40] if instruction.word.isprintable() else "this"
            return _wrong(f"`{seen}` is no instruction of a Dockerfile", "correct it", file, instruction.line)
    stages = read_stages(source)
    if stages is None:
        return _wrong("it has no FROM, so it makes no image", "begin it with FROM", file)
    return Dockerfile(file, text, source, stages, _context(path, directory, source))


def _wrong(message: str, fix: str, file: str, line: int = 0) -> Finding:
    return Finding("dockerfile-syntax", message, fix, file, line)


def _context(path: Path, directory: Path, source: Source) -> Context:
    """The Dockerfile's own directory, or the other one if only there is what is copied first."""
    named = (w for i in source.instructions if i.word == "COPY" and not i.flag("from") for w in i.words[:-1])
    first = next((name for name in named if name not in WHOLE and not set(name) & set("*?$<[")), None)
    root = path.parent
    if first and not (root / first).exists() and (directory / first).exists():
        root = directory
    for ignore in (path.with_name(f"{path.name}.dockerignore"), root / ".dockerignore"):
        try:
            return Context(root, parse_ignore(ignore.read_text(encoding="utf-8", errors="replace")))
        except OSError:
            continue
    return Context(root, None)
