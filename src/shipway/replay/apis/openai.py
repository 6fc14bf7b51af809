"""What OpenAI's two APIs have in common.

In: request bodies, contents. Out: how a stream is asked for, errors, the text of parts, what is not matched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.replay.exchange import Request

UNMATCHED = frozenset(
    {"stream", "stream_options", "metadata", "store"} | {"user", "safety_identifier", "prompt_cache_key"}
)
"""How the answer is sent and kept, and who asked: none of it changes what is answered."""


_KINDS = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def place(path: str) -> str:
    return path


def streams(request: Request) -> bool:
    return isinstance(request.body, dict) and request.body.get("stream") is True


def error(status: int, message: str) -> Any:
    kind, code = _KINDS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def text(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content or () if isinstance(part, dict) and "text" in part)
