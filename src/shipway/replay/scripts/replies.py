"""Scripted replies, and which of them answers.

In: `Reply` values and an `Asked`. Out: the `Chosen` one, with what its `when` found filled in.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shipway.replay.apis.provider import Call
from shipway.replay.matching.ignored import Ignored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shipway.replay.scripts.conversation import Asked, Turn

GROUP = re.compile(r"\{(\d)(:number)?\}")
"""`{1}` is the text of a group; `"{1:number}"`, alone in a string, is the number that it is."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One [[reply]]. `when` is searched in the user's text or, with `when_tools`, in their results."""

    place: str  # "scripted.toml:7"
    when: re.Pattern[str] | None = None
    when_tools: tuple[str, ...] = ()
    when_said: re.Pattern[str] | None = None
    when_system: re.Pattern[str] | None = None
    when_model: re.Pattern[str] | None = None
    times: int | None = None
    """In one conversation or, with `when_tools`, since the user's last message; None for always."""
    say: Any = ""
    """Text, or a JSON value that is said as its text."""
    calls: tuple[Call, ...] = ()
    stop: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    pace_ms: float | None = None

    @property
    def text(self) -> str:
        """What it says, before anything is filled in."""
        return _text(self.say)

    @property
    def default(self) -> bool:
        """Answers anything, after all others."""
        return self.when is None and not self.when_tools and self.when_said is None

    @property
    def rank(self) -> tuple[bool, bool]:
        return self.default, self.when_system is None and self.when_model is None


@dataclass(frozen=True, slots=True)
class Script:
    """What the scripts of a directory say, in the order of files and lines."""

    replies: tuple[Reply, ...] = ()
    ignored: Ignored = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A reply as it is said."""

    place: str
    say: str
    calls: tuple[Call, ...] = ()
    stop: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    pace_ms: float | None = None


def choose(replies: Iterable[Reply], asked: Asked) -> Chosen | None:
    """The first reply that applies; defaults come last. None where none does."""
    ordered = sorted(replies, key=lambda reply: reply.rank)
    counted = any(reply.times is not None for reply in ordered)
    used: Counter[str] = Counter()
    found = None
    for turn in asked.turns if counted else asked.turns[-1:]:  # play the conversation so far again
        if not turn.last.results:  # a new question, with loops of its own
            used = Counter({reply.place: used[reply.place] for reply in ordered if not reply.when_tools})
        found = _first(ordered, turn, asked, used)
        used[found[0].place if found else ""] += 1
    return _chosen(*found) if found else None


def _first(
    ordered: Sequence[Reply], turn: Turn, asked: Asked, used: Counter[str]
) -> tuple[Reply, tuple[str, ...]] | None:
    for reply in ordered:
        if reply.times is not None and used[reply.place] >= reply.times:
            continue
        if (groups := _match(reply, turn, asked)) is not None:
            return reply, groups
    return None


def _match(reply: Reply, turn: Turn, asked: Asked) -> tuple[str, ...] | None:
    """What `when` found and its groups; None where the reply does not apply."""
    others = (
        (reply.when_said, turn.said),
        (reply.when_system, asked.system),
        (reply.when_model, asked.model),
    )
    if any(pattern and not pattern.search(text) for pattern, text in others):
        return None
    if reply.default:
        return ("",)
    text = heard(reply, turn)
    if text is None:
        return None
    found = re.search(reply.when or "", text)
    return (found[0], *(group or "" for group in found.groups())) if found else None


def heard(reply: Reply, turn: Turn) -> str | None:
    """The text that `when` is searched in; None where the reply waits for something else."""
    results = turn.last.results
    if not reply.when_tools:
        return None if results else turn.last.text  # a question was answered by a call: it is not asked again
    if any(tool not in results for tool in reply.when_tools):
        return None
    return "\n".join(results[tool] for tool in reply.when_tools)


def _chosen(reply: Reply, groups: tuple[str, ...]) -> Chosen:
    calls = tuple(Call(call.tool, _fill(call.input, groups)) for call in reply.calls)
    text = _text(_fill(reply.say, groups))
    return Chosen(reply.place, text, calls, reply.stop, reply.usage, reply.pace_ms)


def _text(say: Any) -> str:
    return say if isinstance(say, str) else json.dumps(say, ensure_ascii=False, default=str)


def _fill(value: Any, groups: Sequence[str]) -> Any:
    if isinstance(value, str):
        whole = GROUP.fullmatch(value)
        if whole and whole[2]:
            return _number(groups[int(whole[1])])
        return GROUP.sub(lambda match: groups[int(match[1])], value)
    if isinstance(value, list):
        return [_fill(item, groups) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, groups) for key, item in value.items()}
    return value


def _number(text: str) -> Any:
    """The number that the text is; the text itself where it is none, for the tool to refuse."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text
