"""What the replay asks of a provider: a module with these functions, and one line in providers.py.

In: requests, and what a scripted reply says. Out: canonical bodies, answers in the provider's published
format, and its own shapes of errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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


def by_tool(results: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Results by the name of their tool; those of one tool that was called several times are its lines."""
    gathered: dict[str, str] = {}
    for name, result in results:
        gathered[name] = f"{gathered[name]}\n{result}" if name in gathered else result
    return gathered


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Demands:
    """What a request leaves no choice about: that a tool is called, that text is JSON (with these keys)."""

    call: bool = False
    json: bool = False
    keys: tuple[str, ...] = ()

    def unmet(self, say: str, calls: Sequence[Call], offered: Iterable[str]) -> str:
        """What a reply lacks and how to write it; empty for one that the API could have given."""
        tools = sorted(offered)
        if missing := [call.tool for call in calls if call.tool not in tools]:
            return f"calls {missing[0]}; the request offers {', '.join(tools) or 'none'}."
        if self.call and not calls:
            names, first = " or ".join(tools), tools[0] if tools else "…"
            write = f'call = {{ tool = "{first}", input = {{…}} }}'
            return f"calls no tool; the request demands a call of {names}. Write {write}."
        if self.json and not calls and not _is_json(say):
            shape = ", ".join(f"{key} = …" for key in self.keys) or "key = …"
            return f"says what is no JSON; the request demands JSON. Write say = {{ {shape} }}."
        return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class ConversionError(ValueError):
    """A recorded answer that has no faithful other form; the message says why."""


class ErrorEventError(ConversionError):
    """A stream that ended in an error: `status` and `body` are what a request without stream gets."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__("the recorded stream ends in an error")
        self.status, self.body = status, body


class UnfinishedError(ConversionError):
    """A stream that stops before the event that ends every good one."""

    def __init__(self, last: str) -> None:
        super().__init__(f"the recorded stream ends without {last}")


class Provider(Protocol):
    def owns(self, path: str) -> bool:
        """Whether the path is this provider's."""

    def place(self, path: str) -> str:
        """The path by which requests are compared: one for an answer and its stream."""

    def streams(self, request: Request) -> bool:
        """Whether the request asks for a stream."""

    def model(self, request: Request) -> str:
        """The model that the request names; empty where it names none."""

    def canonical(self, body: Any) -> Any:
        """The body by which requests are compared: see canonical.py."""

    def last_message(self, body: Any) -> LastMessage | None:
        """What a script may answer; None for a request that is no turn of a conversation."""

    def tools(self, body: Any) -> frozenset[str]:
        """Names of the tools that an answer may call."""

    def demands(self, body: Any) -> Demands:
        """What an answer must be."""

    def count(self, request: Request) -> Any | None:
        """The answer to a request that only counts tokens, by a rule of thumb; None for every other."""

    def synthesise(self, request: Request, say: str, calls: Sequence[Call]) -> Any:
        """The answer as JSON; ids and counts follow from the request alone."""

    def finish(self, answer: Any, stop: str, usage: Mapping[str, int]) -> Any:
        """A synthesised answer that ends by `stop` and cost `usage`.

        `stop` is "max_tokens", "refusal" or "" for as it is; `usage` has "input", "output", both or none.
        """

    def headers(self, answer: Any) -> dict[str, str]:
        """What SDKs read beside such an answer, or an error: the id of the request."""

    def to_events(self, answer: Any, request: Request) -> Events:
        """A JSON answer as the provider would have streamed it. Raises ConversionError."""

    def to_body(self, events: Events) -> Any:
        """A streamed answer as JSON. Raises ConversionError."""

    def error(self, status: int, message: str) -> Any:
        """The body of an error answer with this status."""

    def error_event(self, status: int, message: str) -> str:
        """Raw text of the event by which a stream that has begun says so."""
