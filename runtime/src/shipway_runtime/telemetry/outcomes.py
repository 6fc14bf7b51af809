"""Outcomes: what became of each turn, told once to everybody who wants to know.

In: a turn that is over. Out: one line of JSON on stdout and to each carrier (control), for whoever judges
this revision; one log line, for whoever looks for a turn; and a call of each listener (metrics, spans), in
the order they came. The first has to wait where a turn is scored. Process-wide, as logging itself is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ..contract import Model, Outcome, TokenCounts
from ..live.sample import Notes
from . import log
from .tally import Tally

T = TypeVar("T")
R = TypeVar("R")

FIELDS = tuple(field.name for field in dataclasses.fields(Outcome) if field.name != "tokens")
TOKENS = tuple(field.name for field in dataclasses.fields(TokenCounts))
TURNS = "shipway.turn"


@dataclass(frozen=True, slots=True)
class Ended:
    """A turn that is over: its outcome, and what only this process is to know beyond that."""

    outcome: Outcome
    tally: Tally = field(default_factory=Tally)
    model: Model | None = None
    error: BaseException | None = None
    """What the agent raised."""
    notes: Notes | None = None
    """What was said, of a turn that may be read."""


Listener = Callable[[Ended], None]
Carrier = Callable[[str], None]
Keeper = Callable[[Ended], bool]

_turns = logging.getLogger(TURNS)
_listeners: list[Listener] = []
_carriers: list[Carrier] = []
_keepers: list[Keeper] = []
_encode = json.JSONEncoder().encode


def listen(listener: Listener) -> Callable[[], None]:
    """Call `listener` with every outcome, on the main loop: it must not wait. Returns what ends that."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def carry(carrier: Carrier) -> Callable[[], None]:
    """Call `carrier` with every outcome's line, from whichever thread writes it: it must not wait. Returns
    what ends that."""
    _carriers.append(carrier)
    return lambda: _carriers.remove(carrier)


def keep(keeper: Keeper) -> Callable[[], None]:
    """Ask `keeper`, on the main loop, whether it keeps a turn's line back, to `write` it later. Returns what
    ends that."""
    _keepers.append(keeper)
    return lambda: _keepers.remove(keeper)


def record(
    outcome: Outcome,
    tally: Tally | None = None,
    model: Model | None = None,
    error: BaseException | None = None,
    notes: Notes | None = None,
) -> None:
    """Tell everybody. The outcome alone is enough where no agent ran, as for a turn that was denied."""
    ended = Ended(outcome, tally or Tally(), model, error, notes)
    if notes is None or not any(_call(keeper, ended, outcome) for keeper in _keepers):
        write(outcome)
    if _turns.isEnabledFor(logging.INFO):
        _log(outcome)
    for listener in _listeners:
        _call(listener, ended, outcome)


def write(outcome: Outcome) -> None:
    """Give an outcome to those who judge by it. From any thread."""
    line = encode(outcome)
    with contextlib.suppress(OSError, ValueError):  # nobody reads there any more
        sys.stdout.write(f"{line}\n")  # what a record of the log costs would double it
    for carrier in _carriers:
        _call(carrier, line, outcome)


def _call(told: Callable[[T], R], what: T, outcome: Outcome) -> R | None:
    try:
        return told(what)
    except Exception:  # noqa: BLE001 - one that fails must not fail the turn, nor the others
        log.error("turn %d: not everybody took its outcome", outcome.turn, exc_info=True)
        return None


def encode(outcome: Outcome) -> str:
    """One outcome as JSON. (`dataclasses.asdict` would take half of the time a turn costs.)"""
    document = {name: getattr(outcome, name) for name in FIELDS}
    document["tokens"] = {name: getattr(outcome.tokens, name) for name in TOKENS}
    return _encode(document)


def _log(outcome: Outcome) -> None:
    tokens = outcome.tokens
    used = f", {tokens.input} + {tokens.output} tokens" if tokens.input or tokens.output else ""
    plural = "s" if outcome.tool_calls > 1 else ""
    called = f", {outcome.tool_calls} tool call{plural}" if outcome.tool_calls else ""
    fields = {
        "conversation": outcome.conversation,
        "turn": outcome.turn,
        "status": outcome.status,
        "latency_s": outcome.latency_s,
        "first_token_s": outcome.first_token_s,
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "tool_calls": outcome.tool_calls,
        "tool_errors": outcome.tool_errors,
        "cost": outcome.cost,
    }
    _turns.info(
        "turn %d %s in %s%s%s",
        *(outcome.turn, outcome.status, _spell(outcome.latency_s), used, called),
        extra=fields,
    )


def _spell(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
