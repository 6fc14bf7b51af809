"""The text of turns, as control gets it from agents with `[evals] live`.

A part of the contract, which gives all of it; the standard library alone. In and out: values. Each is one
line of JSON: a turn's text, or word of a conversation that was deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .codec import FORMAT

TURNS_PATH = "/v1/turns"
"""Of the control server: POST with one TurnText or Deletion a line; the rest is as of outcomes.

A line is a Deletion when it has the key `deleted`. Control forgets what it has of that conversation, and
refuses none of the lines that come later and are of turns that began before: it takes and drops them.
"""

TEXT_LIMIT = 100_000  # characters of one turn's text, whatever it is made of
WORTH_READING = 0.5  # turns with a lower score are, as are those that failed


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool. `arguments` is JSON as text; `output` is None as long as no result came, and with
    `error` it says what went wrong. `server` is the MCP server's name, if any."""

    name: str
    arguments: str
    output: str | None = None
    error: bool = False
    server: str | None = None


@dataclass(frozen=True, slots=True)
class TurnText:
    """What was said in one turn; the first six are its outcome's.

    `messages` are the conversation up to the question, the oldest first, without `left_out` messages at their
    beginning: no text is longer than TEXT_LIMIT as a whole. `error` is the exception's type and message.
    """

    conversation: str
    turn: int
    revision: str
    tenant: str | None
    started: float
    status: Literal["ok", "error"]
    messages: tuple[Said, ...]
    answer: str
    tool_calls: tuple[ToolUse, ...] = ()
    error: str | None = None
    score: float | None = None
    left_out: int = 0
    format: int = FORMAT

    @property
    def identity(self) -> tuple[str, str | None, str, int, float]:
        """Equal to the outcome's."""
        return (self.revision, self.tenant, self.conversation, self.turn, self.started)


@dataclass(frozen=True, slots=True)
class Deletion:
    """A conversation, or a turn of it, was deleted where it was kept; `deleted` is when."""

    conversation: str
    tenant: str | None
    deleted: float
    format: int = FORMAT
