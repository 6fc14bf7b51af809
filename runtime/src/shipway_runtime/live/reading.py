"""Which turns people read, and how they get to control.

In: sampled turns that are over; conversations that are deleted. Out: lines of JSON, a TurnText or a Deletion
each: the text of turns that failed, or that the scorer thinks little of, and of no others.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

from ..contract import WORTH_READING, Deletion, Said, TurnText
from ..telemetry.counts import type_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contract import Outcome
    from ..conversations.store import Place
    from ..telemetry.outcomes import Ended
    from .sample import Sample


class Reading:
    """`carry` takes the lines, from any thread."""

    def __init__(self, carry: Callable[[str], None], redact: Callable[[str], str]) -> None:
        self._carry, self._redact = carry, redact

    def tell(self, ended: Ended, sample: Sample, score: float | None = None) -> None:
        """A turn is over: pass its text on, if it is worth reading."""
        if worth_reading(ended.outcome, score):
            self._write(text_of(ended, sample, score, self._redact))

    def forget(self, place: Place) -> None:
        """A conversation, or a part of it, was deleted."""
        self._write(Deletion(place.conversation, place.tenant, time.time()))

    def _write(self, value: Any) -> None:
        self._carry(json.dumps(dataclasses.asdict(value)))


def worth_reading(outcome: Outcome, score: float | None) -> bool:
    """Whether a sampled turn is."""
    return outcome.status == "error" or (score is not None and score < WORTH_READING)


def text_of(ended: Ended, sample: Sample, score: float | None, redact: Callable[[str], str]) -> TurnText:
    """The text of a turn that is over."""
    outcome, error = ended.outcome, ended.error
    return TurnText(
        conversation=outcome.conversation,
        turn=outcome.turn,
        revision=outcome.revision,
        tenant=outcome.tenant,
        started=outcome.started,
        status="error" if outcome.status == "error" else "ok",
        messages=tuple(Said(message["role"], message["content"]) for message in sample.messages),
        answer=sample.answer,
        tool_calls=sample.tool_calls,
        error=redact(f"{type_of(error)}: {error}")[:2000] if error else None,
        score=score,
        left_out=sample.left_out,
    )
