"""Instructions -> stages: what each stands on, and which of them make the image.

In: a `Source`. Out: `Stages`. Names in FROM are filled in from ARG as Docker does; one that only the command
line would give stays unknown, and rules say nothing about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.syntax import Instruction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shipway.check.dockerfiles.syntax import Source

_VARIABLE = re.compile(
    r"\\(?P<plain>\$)|\$(?:(?P<bare>\w+)|\{(?P<name>\w+)(?:(?P<kind>:?[-+])(?P<word>[^}]*))?\})"
)
_PLATFORM = ("TARGET", "BUILD")
"""ARGs whose names begin so are Docker's own, and differ from platform to platform."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM and what follows it. `image` is the image it names, empty for another stage or `scratch`.

    `image` is None where a variable without a value is in it. `parent` is the stage that it stands on.
    """

    start: Instruction
    name: str
    image: str | None
    parent: int | None
    instructions: tuple[Instruction, ...]

    def all(self, *words: str) -> Iterator[Instruction]:
        """Its instructions with these words, ONBUILD's not among them."""
        return (i for i in self.instructions if i.word in words)


@dataclass(frozen=True, slots=True)
class Stages:
    """All stages; `image` are those that make the image itself, the one with the base first."""

    all: tuple[Stage, ...]
    image: tuple[Stage, ...]

    @property
    def base(self) -> Stage:
        """The stage whose FROM names what the image stands on."""
        return self.image[0]

    @property
    def end(self) -> Stage:
        """The last stage, which gives the image its name and its process."""
        return self.image[-1]

    def in_image(self, *words: str) -> Iterator[Instruction]:
        """The instructions with these words that make the image, in the order in which they hold."""
        return (i for stage in self.image for i in stage.all(*words))

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of the image; values that only a build knows are left out."""
        values: dict[str, str] = {}
        for instruction in self.in_image("ENV", "ARG"):
            for name, value in instruction.pairs.items():
                values[name] = expand(value, values) or ""
        return values


def read_stages(source: Source) -> Stages | None:
    """The stages of a file, None where it has no FROM."""
    given: dict[str, str] = {}
    stages: list[Stage] = []
    for block in _blocks(source.instructions):
        if block[0].word == "FROM":
            stages.append(_stage(block, given, stages))
        else:
            given |= {n: expand(v, given) or "" for i in block if i.word == "ARG" for n, v in i.pairs.items()}
    if not stages:
        return None
    chain = [stages[-1]]
    while (parent := chain[0].parent) is not None:
        chain.insert(0, stages[parent])
    return Stages(tuple(stages), tuple(chain))


def _blocks(instructions: Iterable[Instruction]) -> Iterator[list[Instruction]]:
    """The instructions before the first FROM, then each FROM with what follows it."""
    block: list[Instruction] = []
    for instruction in instructions:
        if instruction.word == "FROM" and block:
            yield block
            block = []
        block.append(instruction)
    if block:
        yield block


def _stage(block: list[Instruction], given: Mapping[str, str], stages: list[Stage]) -> Stage:
    words = block[0].words
    image = expand(words[0], given) if words else ""
    named = {stage.name: position for position, stage in enumerate(stages) if stage.name}
    parent = named.get((image or "").lower())
    name = words[2].lower() if len(words) == 3 and words[1].lower() == "as" else ""
    outside = "" if parent is not None or image == "scratch" else image
    return Stage(block[0], name, outside, parent, tuple(block[1:]))


def expand(text: str, values: Mapping[str, str]) -> str | None:
    """The text with its variables filled in, None where one has no value."""
    unknown = False

    def value(match: re.Match[str]) -> str:
        nonlocal unknown
        if match["plain"]:
            return "$"
        name, kind, word = match["bare"] or match["name"], match["kind"] or "", match["word"] or ""
        held = values.get(name, "")
        if kind.endswith("+"):
            return word if held else ""
        if not held and not kind:
            unknown = True
        return held or word

    filled = _VARIABLE.sub(value, text)
    return None if unknown else filled
