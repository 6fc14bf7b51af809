"""The prompts of two sides -> which differ, and how: pure.

In: digests of both, and their texts as far as they are known. Out: `PromptChange`s with unified diffs.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class PromptChange:
    """A prompt that differs. `diff` are the lines of a unified diff; None where a text is not known.

    `before` and `after` are digests, None where it is not there.
    """

    name: str
    before: str | None
    after: str | None
    diff: tuple[str, ...] | None


def compare_prompts(
    old: Mapping[str, str], new: Mapping[str, str], was: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[PromptChange]:
    """`old` and `new` are digests by name, `was` and `now` texts by name."""
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            known = (name in was or name not in old) and (name in now or name not in new)
            diff = tuple(_diff(was.get(name, ""), now.get(name, ""))) if known else None
            yield PromptChange(name, old.get(name), new.get(name), diff)


def _diff(was: str, now: str) -> Iterator[str]:
    """The hunks, without the names of files; a last line without its end says so, as diff does."""
    lines = list(difflib.unified_diff(_lines(was), _lines(now), lineterm=""))
    for line in lines[2:]:
        yield from line.split("\n")


def _lines(text: str) -> list[str]:
    *lines, last = text.split("\n")
    return [*lines, f"{last}\n\\ No newline at end of file"] if last else lines
