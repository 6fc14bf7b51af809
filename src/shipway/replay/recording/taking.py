"""From an answer as it came to an exchange as it is stored; or why it is not.

In: a request, the status, headers and chunks of its answer. Out: an `Exchange` without secrets; UnfitError
for what would be no good recording: a failure, half an answer, an answer that gives a secret away.
"""

from __future__ import annotations

import codecs
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import providers, sse
from shipway.replay.apis.provider import ConversionError, ErrorEventError, UnfinishedError
from shipway.replay.exchange import Exchange, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.replay.recording.upstream import Coming
    from shipway.replay.secrecy import Secrets
    from shipway.replay.traffic import Incoming

Chunk = tuple[float, bytes]
"""Milliseconds since the request, and bytes."""

_KEPT = frozenset({"content-type", "request-id", "x-request-id", "retry-after"})
_KEPT_STARTS = ("anthropic-ratelimit-", "x-ratelimit-")
"""Headers of an answer that are stored; cookies and names of organisations are not."""


_LEFT = "the client left before the answer was whole"
_DONE = "data: [DONE]"


class UnfitError(Exception):
    """An exchange that is not stored; the message says why."""


def take(
    incoming: Incoming,
    coming: Coming,
    chunks: Sequence[Chunk],
    meta: dict[str, Any],
    secrets: Secrets,
    *,
    left: bool = False,
) -> Exchange:
    """The exchange to store. The client may have `left` before the end. Raises UnfitError."""
    if not 200 <= coming.status < 300:
        raise UnfitError(str(coming.status))
    if coming.coding:
        raise UnfitError(f"the answer is compressed with {coming.coding}, which was not asked for")
    response = _response(incoming, coming, chunks, secrets)
    _judge_end(incoming.request.path, response.events, left=left)
    if secrets.are_in_pieces_of(_values(response.events or ())):
        raise UnfitError("the answer spells out a secret, piece by piece")
    exchange = Exchange(incoming.request, response, secrets.hide(meta))
    if secrets.find(json.dumps(dataclasses.asdict(exchange)).encode()):
        raise UnfitError("it would still hold a secret")
    return exchange


def _response(incoming: Incoming, coming: Coming, chunks: Sequence[Chunk], secrets: Secrets) -> Response:
    """The answer: a stream as it came, JSON as JSON, anything else as one chunk."""
    kept = {k: v for k, v in coming.headers.items() if k in _KEPT or k.startswith(_KEPT_STARTS)}
    headers = secrets.hide(dict(sorted(kept.items())))
    if not _is_stream(incoming, coming):
        content = b"".join(chunk for _, chunk in chunks)
        try:
            return Response(coming.status, headers, secrets.hide(_json(content)))
        except ValueError:
            chunks = [(chunks[-1][0], content)] if chunks else []
    hidden = secrets.hide_in_chunks([chunk for _, chunk in chunks])
    events = _decoded([(ms, chunk) for (ms, _), chunk in zip(chunks, hidden, strict=True)])
    return Response(coming.status, headers, events=events)


def _is_stream(incoming: Incoming, coming: Coming) -> bool:
    provider = providers.find(incoming.request.path)
    if provider is not None and provider.streams(incoming.request):
        return True
    return coming.headers.get("content-type", "").startswith("text/event-stream")


def _json(content: bytes) -> Any:
    """Raises ValueError for what is no JSON, and for `null`, which is no body."""
    value = json.loads(content)
    if value is None:
        raise ValueError("null")
    return value


def _decoded(chunks: Sequence[tuple[float, bytes]]) -> tuple[tuple[float, str], ...]:
    """Chunks as text; a character that two of them share goes with the second."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    last = len(chunks) - 1
    texts = [(ms, decoder.decode(chunk, index == last)) for index, (ms, chunk) in enumerate(chunks)]
    return tuple((round(ms), text) for ms, text in texts if text)


def _judge_end(path: str, events: Sequence[tuple[float, str]] | None, *, left: bool) -> None:
    """Raises UnfitError for a stream that ended in an error or too early."""
    provider = providers.find(path)
    whole = events is not None and "".join(text for _, text in events).rstrip().endswith(_DONE)
    try:
        if provider is not None and events is not None:
            provider.to_body(events)
            whole = True
    except ErrorEventError as error:
        raise UnfitError(f"the stream ended in an error ({error.status})") from None
    except UnfinishedError as error:
        raise UnfitError(str(error) if not left else _LEFT) from None
    except (ConversionError, LookupError, TypeError, AttributeError):
        pass  # it cannot be put together: after its end, that says nothing about how it ended
    if left and not whole:
        raise UnfitError(_LEFT)


def _values(events: Sequence[tuple[float, str]]) -> list[Any]:
    try:
        return list(sse.values(events))
    except ConversionError:
        return [text for _, text in events]
