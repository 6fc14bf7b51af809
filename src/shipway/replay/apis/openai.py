"""What OpenAI's two APIs have in common.

In: statuses, messages, answers. Out: errors and headers; what of a request is not matched.
"""

from __future__ import annotations

from typing import Any

from shipway.replay.apis.body import at
from shipway.replay.matching import canonical as canon

UNMATCHED = frozenset(
    {"stream", "stream_options", "metadata", "store", "service_tier", "completion_window"}
    | {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"}
    | {"background_options"}
)
"""How and where the answer is made, sent and kept, and who asked: none of it changes what is answered."""

_KINDS = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("request_forbidden", None),
    429: ("requests", "rate_limit_exceeded"),
}
_STATUS = {
    "invalid_api_key": 401,
    "request_forbidden": 403,
    "rate_limit_exceeded": 429,
    "too_many_requests": 429,
    "insufficient_quota": 429,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
}


def error(status: int, message: str) -> Any:
    kind, code = _KINDS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def status(error: Any) -> int:
    """The status of an error that came within a stream. Compatible servers have it as its code."""
    if isinstance(code := at(error, "code"), int):
        return code if 400 <= code < 600 else 500
    return _STATUS.get(code or "") or _STATUS.get(at(error, "type") or "", 500)


def headers(answer: Any) -> dict[str, str]:
    return {"x-request-id": f"req_{canon.digest(canon.text(answer))[:32]}"}
