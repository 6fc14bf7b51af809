"""Outcomes: what became of each turn, told once to everybody who wants to know.

In: a turn that is over. Out: one JSON line on stdout, for whoever judges this revision; one log line, for
whoever looks for a turn; and a call of each listener (metrics, spans, control), in the order they came.
Process-wide, as logging itself is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from ..contract import Model, Outcome, TokenCounts
from . import log
from .tally import Tally

FIELDS = tuple(field.name for field in dataclasses.fields(Outcome) if field.name != "tokens")
TOKENS = tuple(field.name for field in dataclasses.fields(TokenCounts))
TURNS = "shipway.turn"


@dataclass(frozen=True, slots=True)
class Ended:
    """A turn that is over: its outcome, and what only this process is to know beyond that."""

    outcome: Outcome
    line: str
    tally: Tally = field(default_factory=Tally)
    model: Model | None = None
    error: BaseException | None = None
    """What the agent raised."""


Listener = Callable[[Ended], None]

_turns = logging.getLogger(TURNS)
_listeners: list[Listener] = []
_encode = json.JSONEncoder().encode


def listen(listener: Listener) -> Callable[[], None]:
    """Call `listener` with every outcome, on the main loop: it must not wait. Returns what ends that."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def record(
    outcome: Outcome,
    tally: Tally | None = None,
    model: Model | None = None,
    error: BaseException | None = None,
) -> None:
    """Tell everybody. The outcome alone is enough where no agent ran, as for a turn that was denied."""
    line = encode(outcome)
    with contextlib.suppress(OSError, ValueError):  # nobody reads there any more
        sys.stdout.write(f"{line}\n")  # what a record of the log costs would double it
    if _turns.isEnabledFor(logging.INFO):
        _log(outcome)
    if not _listeners:
        return
    ended = Ended(outcome, line, tally or Tally(), model, error)
    for listener in _listeners:
        try:
            listener(ended)
        except Exception:  # noqa: BLE001 - one that fails must not fail the turn, nor the others
            log.error("turn %d: not everybody took its outcome", outcome.turn, exc_info=True)


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
