"""What OpenAI's two APIs have in common.

In: request bodies, contents. Out: how a stream is asked for, errors, the text of parts, what is not matched.
"""

from __future__ import annotations

from typing import Any

UNMATCHED = frozenset(
    {"stream", "stream_options", "metadata", "store"} | {"user", "safety_identifier", "prompt_cache_key"}
)
"""How the answer is sent and kept, and who asked: none of it changes what is answered."""


def streams(body: Any) -> bool:
    return isinstance(body, dict) and body.get("stream") is True


def error(message: str) -> Any:
    kind = {"type": "invalid_request_error", "param": None, "code": "not_found"}
    return {"error": {"message": message, **kind}}


def text(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content or () if isinstance(part, dict) and "text" in part)
