"""Shell text -> the commands in it, as far as they can be told without a shell.

In: the text of RUN or CMD, a script. Out: `Command`s in their order, with what stands before the program
taken off: assignments, `exec`, `sudo`, `tini --`; `python -m NAME` is NAME. Text that no shell would take
gives words at its spaces.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST = 200_000
"""Of a text, in characters: what follows is not read."""
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_WRAPPERS = {
    "sudo": 0, "env": 0, "nohup": 0, "time": 0, "nice": 0, "command": 0, "catchsegv": 0,
    "exec": 0, "tini": 0, "dumb-init": 0, "gosu": 1, "su-exec": 1, "timeout": 1,
    "opentelemetry-instrument": 0, "ddtrace-run": 0,
}  # fmt: skip
"""Programs that start the one that follows, with so many words of their own before it."""
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})
_KEYWORDS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "(", ")"})
_PYTHON = re.compile(r"python(\d(\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class Command:
    """A program by its base name and its arguments. `line` counts from 1 in the text it was found in."""

    program: str
    arguments: tuple[str, ...]
    line: int = 1
    replaces: bool = False
    """Whether the shell becomes the program: `exec`."""

    def says(self, *words: str) -> bool:
        """Whether the first arguments that are no options are these."""
        return tuple(a for a in self.arguments if not a.startswith("-"))[: len(words)] == words

    def option(self, *names: str) -> str | None:
        """The value of `--name value` or `--name=value`, None where it is not given."""
        for position, argument in enumerate(self.arguments):
            name, equals, value = argument.partition("=")
            if name in names:
                return value if equals else "".join(self.arguments[position + 1 : position + 2])
        return None

    def has(self, *names: str) -> bool:
        """Whether one of these arguments is given, with a value or without."""
        return any(argument.partition("=")[0] in names for argument in self.arguments)


def commands(text: str) -> list[Command]:
    """The commands of shell text, those in `sh -c "…"` among them."""
    return [c for line, words in _simple(text[:_LONGEST]) for c in read_words(words, line)]


def read_words(words: Iterable[str], line: int = 1) -> Iterator[Command]:
    """The command that is written in words, as the JSON form has it; of a shell its commands."""
    rest, replaces = list(words), False
    while rest:
        first = rest[0].rpartition("/")[2]
        if _ASSIGNMENT.fullmatch(rest[0]) or rest[0] in _KEYWORDS:
            del rest[0]
        elif first in _WRAPPERS and len(rest) > 1:
            replaces = replaces or first == "exec"
            del rest[0]
            while rest and rest[0].startswith("-"):
                del rest[0]
            del rest[: _WRAPPERS[first]]
        else:
            break
    if rest:
        yield from _command(rest, line, replaces)


def _command(words: list[str], line: int, replaces: bool) -> Iterator[Command]:
    program, arguments = words[0].rpartition("/")[2], tuple(words[1:])
    if program in SHELLS and (script := _script(arguments)) is not None:
        yield from (Command(c.program, c.arguments, line, c.replaces) for c in commands(script))
    elif _PYTHON.fullmatch(program) and "-m" in arguments[:3] and arguments[-1] != "-m":
        at = arguments.index("-m") + 1
        yield Command(arguments[at], arguments[at + 1 :], line, replaces)
    else:
        yield Command(program, arguments, line, replaces)


def _script(arguments: tuple[str, ...]) -> str | None:
    """What `sh -c SCRIPT`, `sh -ec SCRIPT` runs."""
    for position, argument in enumerate(arguments[:-1]):
        if re.fullmatch(r"-[a-z]*c", argument):
            return arguments[position + 1]
    return None


def _simple(text: str) -> Iterator[tuple[int, list[str]]]:
    """The words of each simple command, with the line it begins in."""
    for number, line in _logical(text):
        words: list[str] = []
        for word in _split(line):
            if word and not word.strip(";&|()\n"):
                if words:
                    yield number, words
                words = []
            else:
                words.append(word)
        if words:
            yield number, words


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a script, those that a backslash continues as one."""
    held, begun = "", 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        begun = begun or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        yield begun, held + line
        held, begun = "", 0
    if held:
        yield begun, held


def _split(line: str) -> list[str]:
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
        lexer.whitespace_split, lexer.commenters = True, ""
        words = list(lexer)
    except ValueError:
        words = line.split()
    return list(takewhile(lambda word: not word.startswith("#"), words))
