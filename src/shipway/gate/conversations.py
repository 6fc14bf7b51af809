"""Outcomes in any order -> closed conversations, in an order that does not depend on it.

In: outcomes as they come, repeated ones too, and the time. Out: each conversation once, when it is closed.

A conversation closes when no turn of it has ended for `idle_s`, or when it is `longest_s` old; a turn that
ends after that does not count. Closed conversations come minute by minute, those of a minute by their
start: all of that is told by the times in the outcomes, so that it is the same however they travelled,
unless one takes more than a minute from the end of its turn to here. Where conversations close sooner than
after five minutes, that minute is shorter, too (`patience_s`).
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

from shipway_runtime.contract import Outcome

IDLE_S = 300.0
LONGEST_S = 1800.0
_MINUTE_S, _LEAST_S = 60.0, 1.0
_AT_ONCE = 1.0
"""Seconds from the beginning of a conversation in which its first turn starts."""

Key = tuple[str | None, str]
"""Tenant and conversation."""


def patience_s(idle_s: float) -> float:
    """How long outcomes are waited for, and which conversations are taken at once: those that have closed
    within so many seconds. A fifth of the idle time, a minute at most, and no less than outcomes travel."""
    return max(_LEAST_S, min(_MINUTE_S, idle_s / 5))


@dataclass(frozen=True, slots=True)
class Conversation:
    """A closed conversation: the turns that the revision of its first turn has answered.

    `moved` says that another revision has answered some, too: those are not here.
    """

    key: Key
    revision: str
    start: float
    closed: float
    turns: tuple[Outcome, ...]
    moved: bool = False


@dataclass(slots=True)
class _Open:
    start: float
    turns: dict[tuple[str, int, float], Outcome] = field(default_factory=dict)


class Conversations:
    """The conversations that are open. What is kept grows with them, not with all there ever were."""

    def __init__(self, idle_s: float = IDLE_S, longest_s: float = LONGEST_S) -> None:
        self._idle_s, self._longest_s, self._patience_s = idle_s, longest_s, patience_s(idle_s)
        self._open: dict[Key, _Open] = {}
        self._due: list[tuple[float, int, Key]] = []  # a conversation closes at one of its times here
        self._closed: dict[Key, None] = {}
        self._forget: deque[tuple[float, Key]] = deque()
        self._until = float("-inf")
        self._pushed = 0
        self.repeated = 0
        """Outcomes that had come before."""
        self.late = 0
        """Outcomes of conversations that were closed already."""

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def add(self, outcome: Outcome) -> bool:
        """Take one outcome; False when it does not count, being repeated or late."""
        key = (outcome.tenant, outcome.conversation)
        start = min(outcome.first_seen, outcome.started)
        due = self._closing(start, outcome)
        opened = self._open.get(key)
        if opened is None:
            if key in self._closed or due < self._until:
                self.late += 1
                return False
            opened = self._open[key] = _Open(start)
        turn = (outcome.revision, outcome.turn, outcome.started)
        if turn in opened.turns:
            self.repeated += 1
            return False
        opened.turns[turn] = outcome
        opened.start = min(opened.start, start)
        self._push(due, key)
        return True

    def close(self, now: float) -> list[Conversation]:
        """Those that have closed since the last call. `now` is in seconds since the epoch."""
        until = (now - self._patience_s) // self._patience_s * self._patience_s
        return self._take(until) if until > self._until else []

    def close_all(self) -> list[Conversation]:
        """Those that are left, when nothing more will come."""
        return self._take(float("inf"))

    def _take(self, until: float) -> list[Conversation]:
        taken = []
        while self._due and self._due[0][0] < until:
            _, _, key = heapq.heappop(self._due)
            opened = self._open.get(key)
            if opened is None:
                continue
            turns, closing = self._counted(opened)
            if closing >= until:
                self._push(closing, key)
                continue
            del self._open[key]
            self._closed[key] = None
            self.late += len(opened.turns) - len(turns)
            if turns:
                taken.append(_conversation(key, opened.start, closing, turns))
        self._until = until
        taken.sort(key=self._order)
        self._remember(taken)
        return taken

    def _remember(self, taken: list[Conversation]) -> None:
        """Which have closed, for as long as a turn of theirs might be taken for a new conversation's."""
        self._forget.extend(
            (conversation.closed + self._longest_s, conversation.key) for conversation in taken
        )
        while self._forget and self._forget[0][0] < self._until:
            self._closed.pop(self._forget.popleft()[1], None)

    def _counted(self, opened: _Open) -> tuple[list[Outcome], float]:
        """The turns that count, as they ended, and when the conversation closed."""
        counted: list[Outcome] = []
        closing = opened.start + self._longest_s
        for outcome in sorted(opened.turns.values(), key=lambda one: (one.finished, one.turn, one.started)):
            own = self._closing(opened.start, outcome)
            if outcome.finished > own or (counted and outcome.finished > closing):
                break
            counted.append(outcome)
            closing = own
        return counted, closing

    def _closing(self, start: float, last: Outcome) -> float:
        """When a conversation closes whose last turn this is; a first turn may take as long as it does."""
        closing = min(last.finished + self._idle_s, start + self._longest_s)
        return max(closing, last.finished) if last.started <= start + _AT_ONCE else closing

    def _order(self, conversation: Conversation) -> tuple[float, float, str, str]:
        tenant, name = conversation.key
        return (conversation.closed // self._patience_s, conversation.start, tenant or "", name)

    def _push(self, due: float, key: Key) -> None:
        self._pushed += 1
        heapq.heappush(self._due, (due, self._pushed, key))


def _conversation(key: Key, start: float, closed: float, turns: list[Outcome]) -> Conversation:
    first = min(turns, key=lambda one: (one.started, one.turn))
    own = tuple(one for one in turns if one.revision == first.revision)
    return Conversation(key, first.revision, start, closed, own, moved=len(own) < len(turns))
