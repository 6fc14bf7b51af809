""".dockerignore -> which files of a project stay out of its image, as they stay out of Docker's builds.

In: the file's text. Out: `Ignore`, which answers for a path. The last pattern that matches a path or a
directory above it decides; `!` takes back. What shipway itself rendered is no wish of the user's and counts
as empty. Source: Docker's documentation of .dockerignore, and moby's patternmatcher.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

NAME = ".dockerignore"
_RENDERED = "# Rendered by `shipway"


@dataclass(frozen=True, slots=True)
class Ignore:
    """Patterns in their order: each with whether it takes paths out, or back in."""

    patterns: tuple[tuple[bool, re.Pattern[str]], ...] = ()

    def has(self, path: str) -> bool:
        """Whether the path, relative to the project with /, is kept out."""
        places = [path, *(str(parent) for parent in PurePosixPath(path).parents if parent.name)]
        out = False
        for takes_out, pattern in self.patterns:
            if out is not takes_out and any(pattern.fullmatch(place) for place in places):
                out = takes_out
        return out


def read_ignore(root: Path) -> Ignore:
    """The project's .dockerignore; nothing where there is none."""
    try:
        return parse_ignore((root / NAME).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return Ignore()


def parse_ignore(text: str) -> Ignore:
    """The patterns of a file's text."""
    if text.startswith(_RENDERED):
        return Ignore()
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines() if not line.startswith("#"))
    return Ignore(tuple(_pattern(line) for line in lines if line.strip("!/ ")))


def _pattern(line: str) -> tuple[bool, re.Pattern[str]]:
    takes_out = not line.startswith("!")
    plain = str(PurePosixPath("/") / line.removeprefix("!").strip()).lstrip("/")
    return takes_out, re.compile(_expression(plain))


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\]]*\]|\\.)", pattern)
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    wild = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in wild:
        return wild[part]
    if part.startswith("[") and part.endswith("]") and len(part) > 2:
        inner = part[1:-1].replace("\\", "\\\\")
        return f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
    return re.escape(part.removeprefix("\\") if len(part) == 2 else part)
