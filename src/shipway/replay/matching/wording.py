"""Differences in words: the likely cause in a sentence, and what was recorded beside what was sent.

In: a `Near`, and the body that was sent. Out: sentences, and lines to read: paths with what was recorded (-)
and sent (+); of long texts the lines that differ.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from shipway.replay.matching import anatomy, canonical
from shipway.replay.matching.difference import ABSENT, Difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shipway.replay.matching.nearest import Near

_SHOWN = 5  # differences in a message; the rest is counted
_STRETCHES = 3  # of a text with many lines
_LINES = 4  # of a stretch, on either side
_WIDTH = 100  # characters of a line, around the first that differs
_SHORT = 40  # characters of a value that is named in a sentence

_CHANGED = {
    "user": "what the user says differs",
    "tool": "the result of a tool differs",
    "model": "what the model said before differs",
    "system": "the system prompt changed",
}


# -- Causes --------------------------------------------------------------------------------------------------


def causes(near: Near, sent: Any) -> list[str]:
    """What differs, a sentence each: the cause before what follows from it."""
    sentences = dict.fromkeys(filter(None, (_cause(difference, sent) for difference in near.differences)))
    return [*sentences, *_length(near.differences)]


def _cause(difference: Difference, sent: Any) -> str:
    """A sentence; empty for an item more or less, which are counted together."""
    part = difference.part
    if part == "model":
        return f"model {_name(difference.recorded)} was recorded, {_name(difference.sent)} is asked"
    if part in anatomy.PROMPT:
        return _CHANGED["system"]
    if part == "tools":
        return _tool(difference)
    return _item(difference, sent) if part in anatomy.CONVERSATION else _setting(difference)


def _tool(difference: Difference) -> str:
    labels = [step[1:-1] for step in difference.steps[1:] if step.startswith("[")]
    name = next((label for label in labels if not label.isdecimal()), "")
    if not name:
        return "the tools changed"
    if difference.recorded is ABSENT and difference.steps[-1] == f"[{name}]":
        return f"tool {name} is new"
    if difference.sent is ABSENT and difference.steps[-1] == f"[{name}]":
        return f"tool {name} is gone"
    below = difference.steps[difference.steps.index(f"[{name}]") + 1 :]
    described = (
        "description" in (below[-1], below[0]) and len(below) <= 2
    )  # Chat Completions: function.description
    return f"tool {name}: its {'description' if described else 'schema'} changed"


def _item(difference: Difference, sent: Any) -> str:
    if len(difference.steps) == 1 or not difference.steps[1].startswith("["):
        return _CHANGED["user"]
    if len(difference.steps) == 2 and ABSENT in (difference.recorded, difference.sent):
        return ""
    found = anatomy.conversation(sent)
    at = int(difference.steps[1][1:-1])
    item = found[1][at] if found and at < len(found[1]) else None
    return _CHANGED[anatomy.role(item)]


def _setting(difference: Difference) -> str:
    if not difference.steps:
        return "the body differs"
    if difference.recorded is ABSENT:
        return f"{difference.path} is sent, and was not recorded"
    if difference.sent is ABSENT:
        return f"{difference.path} was recorded, and is not sent"
    if len(shown := _name(difference.recorded) + _name(difference.sent)) > _SHORT or "\n" in shown:
        return f"{difference.path} differs"
    return f"{difference.path}: {_name(difference.recorded)} was recorded, {_name(difference.sent)} is asked"


def _length(differences: Iterable[Difference]) -> Iterator[str]:
    whole = [d for d in differences if d.part in anatomy.CONVERSATION and len(d.steps) == 2]
    for side, words in (("recorded", "more"), ("sent", "fewer")):
        items = [d for d in whole if getattr(d, side) is ABSENT]
        if items:
            many = "1 message" if len(items) == 1 else f"{len(items)} messages"
            yield f"the request has {many} {words} than the recording"


def _name(value: Any) -> str:
    return "none" if value is ABSENT else value if isinstance(value, str) else canonical.text(value)


# -- Lines ---------------------------------------------------------------------------------------------------


def lines(differences: Sequence[Difference]) -> list[str]:
    """The first few differences, and how many there are more."""
    shown = [line for difference in differences[:_SHOWN] for line in _lines(difference)]
    left = len(differences) - _SHOWN
    return [*shown, f"  … and {left} more"] if left > 0 else shown


def _lines(difference: Difference) -> Iterator[str]:
    old, new = difference.recorded, difference.sent
    if isinstance(old, str) and isinstance(new, str) and ("\n" in old or "\n" in new):
        yield from _text(difference.path, old.split("\n"), new.split("\n"))
        return
    told = _show(old), _show(new)
    if told[0] == told[1]:  # a number, and a text that looks like it
        told = canonical.text(old), canonical.text(new)
    before, after = _window(*told)
    yield f"  {difference.path}"
    yield from ([f"    - {before}"] if old is not ABSENT else [])
    yield from ([f"    + {after}"] if new is not ABSENT else [])


def _text(path: str, old: list[str], new: list[str]) -> Iterator[str]:
    """The stretches of lines that differ, each with the number that its first line has in what was sent."""
    opcodes = SequenceMatcher(None, old, new, autojunk=len(old) > 2000).get_opcodes()
    changed = [(old[i:j], new[k:m], k) for tag, i, j, k, m in opcodes if tag != "equal"]
    for before, after, at in changed[:_STRETCHES]:
        yield f"  {path}, line {at + 1}"
        pairs = [_window(*pair) for pair in zip(before, after, strict=False)]
        removed = [pair[0] for pair in pairs] + [_cut(line, 0) for line in before[len(pairs) :]]
        added = [pair[1] for pair in pairs] + [_cut(line, 0) for line in after[len(pairs) :]]
        yield from _few("-", removed)
        yield from _few("+", added)
    if len(changed) > _STRETCHES:
        yield f"    … and {len(changed) - _STRETCHES} more places in this text"


def _few(sign: str, texts: list[str]) -> Iterator[str]:
    yield from (f"    {sign} {text}" for text in texts[:_LINES])
    if len(texts) > _LINES:
        yield f"    {sign} … {len(texts) - _LINES} more lines"


def _show(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is ABSENT else canonical.text(value)


def _window(old: str, new: str) -> tuple[str, str]:
    """Both texts from a little before the first character that differs."""
    pairs = enumerate(zip(old, new, strict=False))
    start = max(0, next((i for i, (a, b) in pairs if a != b), min(len(old), len(new))) - _WIDTH // 3)
    return _cut(old, start), _cut(new, start)


def _cut(text: str, start: int) -> str:
    part = text[start : start + _WIDTH].replace("\n", "⏎")
    return f"{'…' if start else ''}{part}{'…' if start + _WIDTH < len(text) else ''}"
