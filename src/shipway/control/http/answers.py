"""What control answers: JSON documents, and `{"error": {"code", "message"}}` for what is refused.

In: documents. Out: responses.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

_LONGEST = 600  # characters of a message
RETRY_S = 2  # for who comes while the database is behind, or does not answer


class Refused(Exception):
    """A request that is not done; becomes an error document."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def document(content: Any, status: int = 200, **headers: str) -> Response:
    """An answer of JSON."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps(content, separators=(",", ":")).encode()
    return Response(body, status, {"cache-control": "no-store", **given}, "application/json")


def failure(status: int, code: str, message: str, **headers: str) -> Response:
    """An answer that says what was wrong, in one line; a request's own words may be in it."""
    message = "".join(letter if letter.isprintable() else " " for letter in message[:_LONGEST])
    return document({"error": {"code": code, "message": message}}, status, **headers)
