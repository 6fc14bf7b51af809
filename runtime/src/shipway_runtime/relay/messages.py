"""JSON-RPC as the relay sees it: dictionaries on the way through, and the errors it answers with itself.

In: bytes of one message. Out: a dictionary, or RpcError. Codes below -32000 are JSON-RPC's and MCP's own;
-32000 and -32001 are what the MCP SDKs use for a lost connection and a timeout.
Source: https://www.jsonrpc.org/specification and the MCP specification of 2026-07-28.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
UNAVAILABLE = -32000
TIMED_OUT = -32001
CANCELLED = -32800

MAX_MESSAGE = 16 * 2**20
"""Bytes of one message, in either direction."""

_STATUS = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    UNSUPPORTED_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}


class RpcError(Exception):
    """An error that goes back to the caller as a JSON-RPC error. `status` is HTTP's, for modern clients."""

    def __init__(
        self, code: int, message: str, *, data: Json | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.data = data
        self.status = status or status_of(code)

    def answer(self, request_id: Any) -> Json:
        error: Json = {"code": self.code, "message": str(self)}
        if self.data is not None:
            error["data"] = self.data
        return {"jsonrpc": "2.0", "id": request_id, "error": error}


class Unavailable(RpcError):
    """The server cannot be asked now, or did not answer in time; asking again later may help."""

    def __init__(self, message: str, *, code: int = UNAVAILABLE) -> None:
        super().__init__(code, message, status=503)


class Exhausted(Unavailable):
    """The caller's time or its room in the queue is used up, which says nothing about the server's state."""


class Denied(RpcError):
    """A call that agent.toml or the policy does not let through."""


class SwitchedOff(Denied):
    """The call of a tool that the policy has switched off. It is answered with a result that says so: a model
    reads that, and goes on; of a JSON-RPC error most frameworks make an exception that ends the turn."""

    def __init__(self, message: str) -> None:
        super().__init__(INVALID_PARAMS, message, status=200)

    def answer(self, request_id: Any) -> Json:
        content = [{"type": "text", "text": str(self)}]
        return answer_to(request_id, {"resultType": "complete", "content": content, "isError": True})


class NotSent(Unavailable):
    """The message did not leave: it is safe to send it again to the server's next process."""


def status_of(code: int) -> int:
    """The HTTP status that the 2026-07-28 transport gives to a JSON-RPC error code."""
    return _STATUS.get(code, 200)


def decode(body: bytes | str) -> Json:
    """One JSON-RPC message. Raises RpcError for text that is no JSON, a batch, or no message at all."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "expected one JSON-RPC message, saw text that is not JSON") from None
    if isinstance(message, list):
        raise RpcError(INVALID_REQUEST, "JSON-RPC batches: not yet; send one message a request")
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'expected a JSON-RPC message with "jsonrpc": "2.0"')
    if "method" in message and not isinstance(message["method"], str):
        raise RpcError(INVALID_REQUEST, "expected a method's name as text")
    if not isinstance(message.get("params", {}), dict):
        raise RpcError(INVALID_PARAMS, "expected params to be an object")
    if not isinstance(message.get("id", 0), (int, str)) and (
        message["id"] is not None or "method" in message
    ):
        raise RpcError(INVALID_REQUEST, "expected an id that is a number or text")
    return message


def encode(message: Json) -> bytes:
    """One line of ASCII without its line feed: fit for a pipe, a body and an event alike."""
    try:
        return json.dumps(message, separators=(",", ":")).encode()
    except RecursionError:  # what was just deep enough to be read may be too deep to be written
        raise RpcError(INVALID_REQUEST, "expected a message that is nested less deeply") from None


def is_request(message: Json) -> bool:
    return "method" in message and "id" in message


def request(request_id: Any, method: str, params: Json | None) -> Json:
    message: Json = {"jsonrpc": "2.0", "id": request_id, "method": method}
    return message if params is None else message | {"params": params}


def notification(method: str, params: Json | None) -> Json:
    message: Json = {"jsonrpc": "2.0", "method": method}
    return message if params is None else message | {"params": params}


def answer_to(request_id: Any, result: Json) -> Json:
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def meta_of(params: Json | None) -> Json:
    """`params._meta`, or an empty object when there is none."""
    meta = (params or {}).get("_meta")
    return meta if isinstance(meta, dict) else {}
