"""A Dockerfile's text -> its instructions, with lines: as much of the syntax as rules ask about.

In: text, whatever is in it. Out: `Instruction`s in their order; nothing raises, what is no instruction has a
word that Docker does not know. Source: BuildKit's parser and Docker's Dockerfile reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

WORDS = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC = re.compile(r"""(?:(?<=\s)|^)\d*<<(-?)(["']?)([A-Za-z_][\w.-]*)\2(?=\s|$)""")
_FLAG = re.compile(r"\s*--([a-z][a-z-]*)(?:=(\S*))?(?=\s|$)")
_PAIR = re.compile(r"""\s*([^\s=]+)=((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])*)""", re.DOTALL)
_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `text` is what follows word and flags, on one line; `line` to `last` is where it is.

    `exec` are the words of the JSON form, None where it is the shell form or has none. `heredocs` are the
    texts that follow it.
    """

    word: str
    line: int
    last: int
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    exec: tuple[str, ...] | None = None
    heredocs: tuple[str, ...] = ()

    def flag(self, name: str) -> str:
        """The value of a flag, empty where it is not given."""
        return next((value for key, value in self.flags if key == name), "")

    @property
    def mounts(self) -> tuple[str, ...]:
        """The values of --mount, each `type=…,target=…`."""
        return tuple(value for key, value in self.flags if key == "mount")

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the JSON form, or of the text at its spaces."""
        return self.exec if self.exec is not None else tuple(self.text.split())

    @property
    def pairs(self) -> Mapping[str, str]:
        """What ENV, ARG and LABEL set: name -> value without quotes; ARG without a value gives none."""
        if self.word == "ENV" and "=" not in self.text.split(" ", 1)[0]:
            name, _, value = self.text.partition(" ")
            return {name: value.strip()} if name else {}
        return {name.strip("\"'"): _unquote(value) for name, value in _PAIR.findall(self.text)}


@dataclass(frozen=True, slots=True)
class Source:
    """A file's instructions, and the extent of each: which lines belong together."""

    instructions: tuple[Instruction, ...]
    extents: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def extent(self, line: int) -> tuple[int, int]:
        """First and last line of the instruction that is at a line."""
        return self.extents.get(line, (line, line))


def parse(text: str) -> Source:
    """Every instruction of a Dockerfile."""
    found = tuple(_instructions(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")))
    extents = {line: (i.line, i.last) for i in found for line in range(i.line, i.last + 1)}
    return Source(found, extents)


def _instructions(lines: list[str]) -> Iterator[Instruction]:
    escape = _escape(lines)
    goes_on = re.compile(rf"(?:(?<=[^{re.escape(escape)}])|^){re.escape(escape)}[ \t]*$")
    position = 0
    while position < len(lines):
        if _is_nothing(lines[position]):
            position += 1
            continue
        start, parts = position, []
        while position < len(lines):
            line, position = lines[position], position + 1
            if position - 1 > start and _is_nothing(line):
                continue
            parts.append(goes_on.sub("", line))
            if parts[-1] == line:
                break
        logical = "".join(parts).strip()
        heredocs: list[str] = []
        word = logical.split(None, 1)[0].upper() if logical else ""
        if word in _HEREDOCS or (word == "ONBUILD" and "<<" in logical):
            heredocs, position = _heredocs(logical, lines, position)
        if logical:
            yield _instruction(logical, start + 1, position, tuple(heredocs))


def _is_nothing(line: str) -> bool:
    stripped = line.strip()
    return not stripped or stripped.startswith("#")


def _escape(lines: list[str]) -> str:
    """The escape character: what a directive at the top says, else a backslash."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if not match:
            break
        if match[1].lower() == "escape" and match[2] in ("\\", "`"):
            return match[2]
    return "\\"


def _heredocs(logical: str, lines: list[str], position: int) -> tuple[list[str], int]:
    """The texts that an instruction announces, and where they end: without an end, at the last line."""
    texts = []
    for dash, _, name in _HEREDOC.findall(logical):
        start = position
        while position < len(lines) and (lines[position].lstrip("\t") if dash else lines[position]) != name:
            position += 1
        texts.append("\n".join(lines[start:position]))
        position = min(position + 1, len(lines))
    return texts, position


def _instruction(logical: str, line: int, last: int, heredocs: tuple[str, ...]) -> Instruction:
    word, _, rest = logical.partition(" ") if " " in logical else logical.partition("\t")
    flags = []
    while match := _FLAG.match(rest):
        flags.append((match[1], match[2] or ""))
        rest = rest[match.end() :]
    rest = rest.strip()
    return Instruction(word.upper(), line, last, rest, tuple(flags), _json_words(rest), heredocs)


def _json_words(text: str) -> tuple[str, ...] | None:
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tuple(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else None


def _unquote(value: str) -> str:
    """The value of a pair as it is set: without quotes, with what they protect."""
    return re.sub(
        r"""\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'""",
        lambda m: m[1] or m[3] or re.sub(r"\\(.)", r"\1", m[2] or ""),
        value,
        flags=re.DOTALL,
    )
