"""One HTTP exchange: a JSON body in, JSON out, and a client that may leave at any moment.

In: ASGI's `receive` and `send`. Out: a parsed body no larger than allowed and within a bounded time; a
cancelled task when nobody waits for the answer any more. Errors: ApiError 400, 408, 413 and 415.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from ..conversations.store import StoreError
from ..telemetry import log
from ..turn import TurnError
from .errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_S = 60.0  # for a body to arrive; what gateways wait as well
WATCH_AFTER_S = 0.02

JSON_TYPE = re.compile(rb"application/(?:[\w.+-]+\+)?json *(?:; *charset *= *\"?utf-?8\"? *)?;? *", re.I)
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
to_text = json.JSONEncoder(ensure_ascii=False).encode  # for people, and for models


class ClientGoneError(Exception):
    """Nobody is there to answer."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Headers by name in lower case; of a repeated one the last."""
    return dict(scope["headers"])


async def read_json(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> Any:
    """The request's body, parsed. `limit` is in bytes."""
    _check_type(headers)
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_S):
            body = await _read(receive, limit)
    except TimeoutError:
        message = f"the body did not arrive within {BODY_S:g} s"
        raise ApiError(408, message, code="body_too_slow", headers={"connection": "close"}) from None
    return parse_json(body)


def parse_json(body: bytes | bytearray) -> Any:
    """A value of JSON in UTF-8, and nothing that only Python takes for JSON."""
    try:
        value = _decode(body.decode("utf-8-sig"))
        if SURROGATE.search(body):  # half of a pair is no text: it could not be stored, or sent on
            encode(value).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from None
    return value


async def _read(receive: Receive, limit: int) -> bytes | bytearray:
    body: bytes | bytearray = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        more = message.get("more_body", False)
        piece = message.get("body", b"")
        body = bytearray(body) + piece if body else piece
        if len(body) > limit:
            raise _too_large(limit)
    return body


def _check_type(headers: Mapping[bytes, bytes]) -> None:
    kind = headers.get(b"content-type")
    if kind is not None and not JSON_TYPE.fullmatch(kind):
        raise _unsupported("content-type: expected application/json (curl needs it with -H)", kind)
    coding = headers.get(b"content-encoding", b"identity")
    if coding.lower() != b"identity":
        # RFC 9110: the answer says which codings there are.
        raise _unsupported(
            "content-encoding: expected a body as it is", coding, {"accept-encoding": "identity"}
        )


def _unsupported(expected: str, seen: bytes, headers: dict[str, str] | None = None) -> ApiError:
    message = f"{expected}, saw {seen[:60].decode('latin-1')}"
    return ApiError(415, message, code="unsupported_media_type", headers=headers)


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the body is larger than the {limit} bytes allowed", code="body_too_large")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


async def send_json(
    send: Send, document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> None:
    """One answer, whole."""
    body = encode(document).encode("utf-8", "replace")  # an agent may give half of a surrogate pair
    raw = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    raw += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: ApiError) -> None:
    await send_json(send, {"error": error.document()}, error.status, error.headers)


def answering_errors(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with what it raises answered in OpenAI's shape."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await endpoint(scope, receive, send)
        except ClientGoneError:
            pass
        except Exception as error:  # noqa: BLE001 - ours, or a store's; the process goes on
            with contextlib.suppress(RuntimeError):  # the answer had begun; the connection is closed instead
                await send_error(send, _api_error(scope, error))

    return answer


def _api_error(scope: Scope, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, TurnError):
        return ApiError.of(error)
    log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
    if isinstance(error, StoreError):
        message = "conversations cannot be read or kept now"
        return ApiError(503, message, code="storage_unavailable", retry_s=1.0)
    message = "the request failed; the log of this instance says why"
    return ApiError(500, message, code="server_error", repeatable=False)


@contextlib.asynccontextmanager
async def cancelled_when_gone(receive: Receive) -> AsyncIterator[None]:
    """Runs its block, and cancels it when the client leaves; then raises ClientGoneError.

    The answer's last bytes are to be sent after the block: a client that has them may leave.
    """
    task, watcher = asyncio.current_task(), None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        if task:
            task.cancel()

    def start() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    # An answer that is there at once needs no watcher, whose task would be a tenth of its cost.
    timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, start)
    try:
        yield
    except asyncio.CancelledError:
        if not (gone and task):
            raise
        task.uncancel()
        raise ClientGoneError from None
    finally:
        timer.cancel()
        if watcher:
            watcher.cancel()
