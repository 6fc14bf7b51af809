"""Outcomes and conversations as tests need them: everything that does not matter has a value."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

from shipway.gate import Conversation, Gate, GatePlan
from shipway_runtime.contract import Outcome

STABLE, CANARY = "r1", "r2"


def outcome(conversation: str = "c", turn: int = 1, revision: str = STABLE, **fields: Any) -> Outcome:
    """One turn; it takes two seconds and starts at 1000 unless said otherwise."""
    started = fields.pop("started", 1000.0)
    latency = fields.pop("latency_s", 2.0)
    values = {"tenant": None, "first_seen": started, "finished": started + latency, "status": "ok"}
    return Outcome(conversation, turn, revision, started=started, latency_s=latency, **(values | fields))


def conversation(revision: str, *turns: Outcome, start: float = 1000.0, key: str = "c") -> Conversation:
    """A closed one."""
    return Conversation((None, key), revision, start, start + 300.0, turns)


def ended(revision: str, ok: bool, start: float = 1000.0) -> Conversation:
    """A conversation of one turn that went well or did not."""
    status = "ok" if ok else "error"
    return conversation(revision, outcome(revision=revision, status=status, started=start), start=start)


def plan(share: float | None = None, alpha: float = 0.05, **metrics: float | None) -> GatePlan:
    return GatePlan(CANARY, STABLE, share, metrics or {"errors": 0.02}, alpha)


def traffic(
    seed: int, canary: int, stable: float = 0.92, other: float = 0.92, share: float = 0.05
) -> Iterator[Conversation]:
    """Conversations until the canary has had so many; each goes well with its arm's probability."""
    chance = random.Random(seed)
    number = 0
    while canary:
        number += 1
        is_canary = chance.random() < share
        canary -= is_canary
        good = chance.random() < (other if is_canary else stable)
        yield ended(CANARY if is_canary else STABLE, good, 1000.0 + number)


def seen(gate: Gate, conversations: Iterable[Conversation]) -> Gate:
    for one in conversations:
        gate.see(one)
    return gate


def found_after(gate: Gate, conversations: Iterable[Conversation]) -> int | None:
    """Conversations of the canary until the gate says fail; None when it never does."""
    canary = 0
    for one in conversations:
        gate.see(one)
        canary += one.revision == CANARY
        if gate.failed:
            return canary
    return None
