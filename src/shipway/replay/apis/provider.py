"""What the replay asks of a provider: a module with these functions, and one line in providers.py.

In: requests, and what a scripted reply says. Out: canonical bodies, answers in the provider's published
format, and its own shapes of errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from shipway.replay.exchange import Request

Events = Sequence[tuple[float, str]]
"""(milliseconds since the request, raw text of the stream)."""


@dataclass(frozen=True, slots=True)
class LastMessage:
    """What a script is matched against: the user's text, or the results of tools by the tool's name."""

    text: str = ""
    results: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    input: dict[str, Any]


class ConversionError(ValueError):
    """A recorded answer that has no faithful other form; the message says why."""


class ErrorEventError(ConversionError):
    """A stream that ended in an error: `status` and `body` are what a request without stream gets."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__("the recorded stream ends in an error")
        self.status, self.body = status, body


class Provider(Protocol):
    def owns(self, path: str) -> bool:
        """Whether the path is this provider's."""

    def place(self, path: str) -> str:
        """The path by which requests are compared: one for an answer and its stream."""

    def streams(self, request: Request) -> bool:
        """Whether the request asks for a stream."""

    def canonical(self, body: Any) -> Any:
        """The body by which requests are compared: see canonical.py."""

    def last_message(self, body: Any) -> LastMessage | None:
        """What a script may answer; None for a request that is no turn of a conversation."""

    def tools(self, body: Any) -> frozenset[str]:
        """Names of the tools that the request offers."""

    def synthesise(self, request: Request, say: str, calls: Sequence[Call]) -> Any:
        """The answer as JSON; ids and counts follow from the request alone."""

    def to_events(self, answer: Any, request: Request) -> Events:
        """A JSON answer as the provider would have streamed it. Raises ConversionError."""

    def to_body(self, events: Events) -> Any:
        """A streamed answer as JSON. Raises ConversionError."""

    def error(self, status: int, message: str) -> Any:
        """The body of an error answer with this status."""

    def error_event(self, status: int, message: str) -> str:
        """Raw text of the event by which a stream that has begun says so."""
