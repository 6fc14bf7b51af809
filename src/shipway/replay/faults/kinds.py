"""The kinds of faults: one function each, and one line in `KINDS`.

In: an answer that would have been right, and the provider. Out: the answer as it is when this goes wrong, in
the form that was asked for and in the provider's own shape of errors. Pure.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import anthropic
from shipway.replay.apis.provider import Provider
from shipway.replay.faults import frames
from shipway.replay.traffic import Answer

if TYPE_CHECKING:
    from shipway.replay.apis.provider import Events

MESSAGE = "injected by the replay: {}"
_FOREVER_S = 86_400.0
_PIECES = 10  # that a body comes in, which is no stream and slow
_HUGE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind and its parameters; `None` where the kind has no use for one.

    `retry_after` and `seconds` in seconds. `at` is the part of the answer that comes before it goes wrong,
    from 0 to 1. `usage` is a key of `USAGES`, `status` an HTTP status from 400.
    """

    kind: str
    retry_after: float | None = None
    seconds: float = 0.0
    at: float = 0.5
    usage: str = "zero"
    status: int = 401

    def __str__(self) -> str:
        """The kind, and what differs from its defaults: `cut at=0.2`."""
        defaults = KINDS[self.kind].defaults
        given = {name: getattr(self, name) for name in defaults if getattr(self, name) != defaults[name]}
        return " ".join([self.kind, *(f"{name}={_short(value)}" for name, value in given.items())])


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Kind:
    """`spoil` makes the fault. `defaults` are the parameters that it takes, and their values.

    With `delivers` the client gets a whole answer in the end, and the recording counts as played.
    """

    spoil: Callable[[Answer, Fault, Provider], Answer]
    summary: str
    defaults: Mapping[str, Any]
    delivers: bool = False


def spoil(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    """The answer with the fault in it. A stream is taken apart at the borders of its events."""
    if answer.events is not None:
        answer = dataclasses.replace(answer, events=frames.split(answer.events))
    return KINDS[fault.kind].spoil(answer, fault, provider)


# -- Another status ------------------------------------------------------------------------------------------


def _rate_limit(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    return _refusal(answer, fault, provider, 429)


def _overloaded(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    return _refusal(answer, fault, provider, _overload(provider))


def _server_error(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    return _refusal(answer, fault, provider, 500)


def _refused(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    return _refusal(answer, fault, provider, fault.status)


def _refusal(answer: Answer, fault: Fault, provider: Provider, status: int) -> Answer:
    body = provider.error(status, MESSAGE.format(fault.kind))
    headers = provider.headers(body) | _retry(fault.retry_after)
    return dataclasses.replace(answer, status=status, headers=headers, body=body, content=None, events=None)


def _overload(provider: Provider) -> int:
    return 529 if provider is anthropic else 503


def _retry(seconds: float | None) -> dict[str, str]:
    """Retry-After is in whole seconds; what is finer, SDKs read from the header that OpenAI has for it."""
    if seconds is None:
        return {}
    return {"retry-after": str(math.ceil(seconds)), "retry-after-ms": f"{seconds * 1000:.0f}"}


# -- An answer that does not come to its end -----------------------------------------------------------------


def _error_event(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    if answer.events is None:
        return _overloaded(answer, fault, provider)
    sent = _beginning(answer.events, fault.at)
    event = provider.error_event(_overload(provider), MESSAGE.format(fault.kind))
    return dataclasses.replace(answer, events=(*sent, (_last_offset(sent), event)))


def _cut(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    if not fault.at:
        return dataclasses.replace(answer, status=0)
    return dataclasses.replace(_beginning_of(answer, fault.at), cut=True)


def _early_end(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    return _beginning_of(answer, fault.at)


def _hang(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    """Nobody waits for what comes behind `_FOREVER_S`: the client leaves first, or the replay ends."""
    if not fault.at:
        return dataclasses.replace(answer, delay_s=_FOREVER_S)
    sent = _on_time(_beginning_of(answer, fault.at))
    return dataclasses.replace(sent, events=(*(sent.events or ()), (_FOREVER_S * 1000, "")))


def _beginning(events: Events, at: float) -> Events:
    """The events before it goes wrong: the last one of a stream never is among them."""
    return events[: min(round(len(events) * at), len(events) - 1)]


def _beginning_of(answer: Answer, at: float) -> Answer:
    """As `_beginning`; a body that is no stream loses its end, and with it what makes it JSON."""
    if answer.events is not None:
        return dataclasses.replace(answer, events=_beginning(answer.events, at))
    text = _text(answer)
    return _in_pieces(answer, [text[: min(round(len(text) * at), len(text) - 1)]])


# -- Late, and slow ------------------------------------------------------------------------------------------


def _slow_start(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    return dataclasses.replace(answer, delay_s=fault.seconds)


def _slow_stream(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    if answer.events is None:
        text = _text(answer)
        size = math.ceil(len(text) / _PIECES)
        answer = _in_pieces(answer, [text[i : i + size] for i in range(0, len(text), size)])
    paced = [(i * fault.seconds * 1000, text) for i, (_, text) in enumerate(answer.events or ())]
    return dataclasses.replace(answer, events=paced, speed=1.0)


def _in_pieces(answer: Answer, pieces: list[str]) -> Answer:
    """A JSON body that is sent as a stream is, in pieces."""
    headers = {"content-type": "application/json", **answer.headers}
    events = [(0.0, piece) for piece in pieces]
    return dataclasses.replace(answer, headers=headers, body=None, content=None, events=events)


def _on_time(answer: Answer) -> Answer:
    """The same answer, its offsets as they are at speed 1."""
    factor = 1 / answer.speed if answer.speed else 0.0
    events = [(offset * factor, text) for offset, text in answer.events or ()]
    return dataclasses.replace(answer, events=events, speed=1.0)


def _last_offset(events: Events) -> float:
    return events[-1][0] if events else 0.0


# -- Whole, and wrong ----------------------------------------------------------------------------------------


def _malformed_json(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    """The JSON lacks its last character: of the event at `at`, or of the body."""
    if answer.events is None:
        return dataclasses.replace(answer, body=None, content=_text(answer)[:-1].encode())
    events = list(answer.events)
    index = len(_beginning(events, fault.at))
    offset, text = events[index]
    events[index] = (offset, frames.change(text, lambda data: data[:-1]))
    return dataclasses.replace(answer, events=events)


def _wrong_usage(answer: Answer, fault: Fault, provider: Provider) -> Answer:
    def change(value: Any) -> Any:
        return _with_usage(value, USAGES[fault.usage])

    if answer.events is None:
        body = change(json.loads(_text(answer)))
        return dataclasses.replace(answer, body=body, content=None)
    events = [(offset, frames.change_json(text, change)) for offset, text in answer.events]
    return dataclasses.replace(answer, events=events)


def _with_usage(value: Any, count: Callable[[int], int] | None) -> Any:
    """Every count of tokens, wherever a provider puts it, as `count` has it; none without `count`."""
    if isinstance(value, list):
        return [_with_usage(item, count) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _counted(item, count) if key in _USAGE_KEYS else _with_usage(item, count)
        for key, item in value.items()
        if count or key not in _USAGE_KEYS
    }


def _counted(value: Any, count: Callable[[int], int] | None) -> Any:
    if isinstance(value, dict):
        return {key: _counted(item, count) for key, item in value.items()}
    if isinstance(value, list):
        return [_counted(item, count) for item in value]
    return count(value) if count and type(value) is int else value


_USAGE_KEYS = frozenset({"usage", "usageMetadata"})

USAGES: dict[str, Callable[[int], int] | None] = {
    "zero": lambda _: 0,
    "absent": None,
    "huge": lambda _: _HUGE,
    "negative": lambda count: -count - 1,
}
"""What becomes of each count of tokens; with None there are none."""


def _text(answer: Answer) -> str:
    return answer.content.decode() if answer.content is not None else json.dumps(answer.body)


# -- The table -----------------------------------------------------------------------------------------------

KINDS: dict[str, Kind] = {
    "rate-limit": Kind(_rate_limit, "429, and when to come back", {"retry_after": 1.0}),
    "overloaded": Kind(_overloaded, "529 from Anthropic, 503 from the others", {"retry_after": None}),
    "server-error": Kind(_server_error, "500", {"retry_after": None}),
    "refused": Kind(_refused, "401 as for a wrong key, or another `status`", {"status": 401}),
    "error-event": Kind(_error_event, "an error event in the midst of a stream", {"at": 0.5}),
    "cut": Kind(_cut, "the connection breaks", {"at": 0.5}),
    "early-end": Kind(_early_end, "ends in order, and too early", {"at": 0.5}),
    "hang": Kind(_hang, "nothing comes any more, until the client leaves", {"at": 0.0}),
    "slow-start": Kind(_slow_start, "nothing comes for `seconds`", {"seconds": 5.0}, delivers=True),
    "slow-stream": Kind(_slow_stream, "`seconds` between two events", {"seconds": 0.5}, delivers=True),
    "malformed-json": Kind(_malformed_json, "an event, or the body, is no JSON", {"at": 0.5}),
    "wrong-usage": Kind(_wrong_usage, "counts of tokens that cannot be", {"usage": "zero"}, delivers=True),
}
"""All that can go wrong, by the name that rules, commands and headers use."""
