"""Where two canonical bodies differ.

In: what was recorded and what was sent. Out: `Difference` values, in the order of the body. Lists are
aligned: one more message is one difference, and does not shift the others; tools are compared by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from shipway.replay.matching import canonical, sketch
from shipway.replay.matching.anatomy import tool_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "(absent)"})()
_ALIGNED = 400  # items of a list between its equal ends; longer ones are compared one by one
_TRIED = 2000  # pairs of items, to find where a shorter list fits into a longer one


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that was recorded and the one that was sent instead; either may be ABSENT.

    `steps` lead to it: names of members, and places in lists as `[2]` or, for tools, `[name]`. The place is
    the one in the body that was sent, or, where nothing was sent, the recorded one.
    """

    steps: tuple[str, ...]
    recorded: Any = ABSENT
    sent: Any = ABSENT

    @property
    def path(self) -> str:
        """`messages[2].content`; `body` for the whole."""
        joined = "".join(step if step.startswith("[") else f".{step}" for step in self.steps)
        return joined.removeprefix(".") or "body"

    @property
    def part(self) -> str:
        return self.steps[0] if self.steps else ""


def compare(recorded: Any, sent: Any, steps: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Every difference; none for equal values."""
    if recorded == sent:
        return
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for key in sorted({*recorded, *sent}):
            yield from compare(recorded.get(key, ABSENT), sent.get(key, ABSENT), (*steps, key))
    elif isinstance(recorded, list) and isinstance(sent, list):
        yield from _lists(recorded, sent, steps)
    else:
        yield Difference(steps, recorded, sent)


def _lists(recorded: list[Any], sent: list[Any], steps: tuple[str, ...]) -> Iterator[Difference]:
    old, new = _named(recorded), _named(sent)
    if old is not None and new is not None:
        for name in [*old, *(name for name in new if name not in old)]:
            yield from compare(old.get(name, ABSENT), new.get(name, ABSENT), (*steps, f"[{name}]"))
        return
    for old_at, old_end, new_at, new_end in _unequal(recorded, sent):
        yield from _block(recorded[old_at:old_end], sent[new_at:new_end], old_at, new_at, steps)


def _named(items: list[Any]) -> dict[str, Any] | None:
    """Tools by their names; None for a list of anything else."""
    named = {tool_name(item): item for item in items}
    return named if "" not in named and len(named) == len(items) else None


def _unequal(recorded: list[Any], sent: list[Any]) -> Iterator[tuple[int, int, int, int]]:
    """The stretches of both lists that are not the same."""
    old, new = [canonical.text(item) for item in recorded], [canonical.text(item) for item in sent]
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    old_end, new_end = len(old) - tail, len(new) - tail
    if max(old_end, new_end) - head > _ALIGNED:
        yield head, old_end, head, new_end
        return
    matcher = SequenceMatcher(None, old[head:old_end], new[head:new_end], autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            yield head + i, head + j, head + k, head + m


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))


def _block(
    recorded: list[Any], sent: list[Any], old_at: int, new_at: int, steps: tuple[str, ...]
) -> Iterator[Difference]:
    """The shorter stretch beside the most similar items of the longer one; the rest is more or less."""
    fewer = min(len(recorded), len(sent))
    old_from, new_from = _best(recorded, sent) if fewer else (0, 0)
    for i, item in enumerate(recorded):
        if not old_from <= i < old_from + fewer:
            yield Difference((*steps, f"[{old_at + i}]"), item, ABSENT)
    for i, item in enumerate(sent):
        step = f"[{new_at + i}]"
        if new_from <= i < new_from + fewer:
            yield from compare(recorded[old_from + i - new_from], item, (*steps, step))
        else:
            yield Difference((*steps, step), ABSENT, item)


def _best(recorded: list[Any], sent: list[Any]) -> tuple[int, int]:
    """Where the shorter stretch starts in the longer one, as (in recorded, in sent)."""
    shorter, longer = sorted((recorded, sent), key=len)
    starts = range(len(longer) - len(shorter) + 1)
    if len(starts) == 1 or len(starts) * len(shorter) > _TRIED:
        return 0, 0
    own = [sketch.make(item) for item in shorter]
    others = [sketch.numbers(sketch.make(item)) for item in longer]
    score = [sum(map(sketch.shared, own, others[start:])) for start in starts]
    best = score.index(max(score))
    return (best, 0) if longer is recorded else (0, best)
