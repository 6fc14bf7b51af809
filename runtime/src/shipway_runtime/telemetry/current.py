"""What runs here and now: the request and the turn that a piece of code works for.

In: the trace context of a request, and the turn that begins in it. Out: `fields`, what every log line
written meanwhile says of them, whoever writes it. Context variables hold them, so tasks have them, and
threads that were given a copy of their starter's context: `asyncio.to_thread` and every adapter do that.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from . import tracing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from ..context import Context

NOTHING: Mapping[str, Any] = {}

_fields: ContextVar[Mapping[str, Any]] = ContextVar("shipway_fields", default=NOTHING)
_carried: ContextVar[Mapping[str, str]] = ContextVar("shipway_carried", default=NOTHING)


def fields() -> Mapping[str, Any]:
    """`conversation`, `turn`, `trace_id` and `span_id`, as far as there are any."""
    found = _fields.get()
    return {**found, **tracing.ids()} if found else NOTHING


def outgoing() -> Mapping[str, str]:
    """Headers for whatever is called from here, so that it belongs to the same trace."""
    return tracing.outgoing() or _carried.get()


class Request:
    """A request with trace context, while its application runs. `carried` are its valid headers."""

    __slots__ = ("_carried", "_tokens")

    def __init__(self, carried: Mapping[str, str]) -> None:
        self._carried = carried

    def __enter__(self) -> None:
        known = _ids(self._carried)
        self._tokens: tuple[Token[Any], Token[Any]] = _carried.set(self._carried), _fields.set(known)

    def __exit__(self, *raised: object) -> None:
        carried, known = self._tokens
        _carried.reset(carried)
        _fields.reset(known)


class Running:
    """A turn, from the moment that its agent is about to run; it belongs to the trace of its request."""

    __slots__ = ("_context", "_left", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        carried, context = _carried.get(), self._context
        known = {"conversation": context.conversation, "turn": context.turn, **_ids(carried)}
        self._token = _fields.set(known)
        self._left = tracing.begin(context, carried)

    def __exit__(self, *raised: object) -> None:
        self._left()
        _fields.reset(self._token)


def _ids(carried: Mapping[str, str]) -> dict[str, str]:
    parent = carried.get("traceparent")
    if parent is None:
        return {}
    from .w3c import ids  # its expressions take a millisecond to compile, which a start has better uses for

    trace, span = ids(parent)
    return {"trace_id": trace, "span_id": span}
