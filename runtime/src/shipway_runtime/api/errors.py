"""Errors of the API, in OpenAI's shape.

In: a status and what is wrong. Out: `{"error": {"message", "type", "code", "param"}}`, and the headers that
tell a client's program whether to come back: `retry-after`, and `x-should-retry: false` (which OpenAI's SDKs
obey) where the agent had begun, so that the same request once more would do its work twice.
"""

from __future__ import annotations

import math
from typing import Any

from ..turn import TurnError, UnknownTurnError

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
"""Status -> OpenAI's type; any other of 4xx is invalid_request_error, any of 5xx server_error."""


class ApiError(Exception):
    """A request that gets no answer. `param` names the field that is wrong; `headers` go out as they are."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_s: float | None = None,
        repeatable: bool = True,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_s, self.repeatable, self.given = retry_s, repeatable, headers or {}

    @classmethod
    def of(cls, error: TurnError) -> ApiError:
        """The API's view of a turn that failed."""
        param = "previous_response_id" if isinstance(error, UnknownTurnError) else None
        return cls(
            *(error.status, str(error)),
            code=error.code,
            param=param,
            retry_s=error.retry_s,
            repeatable=not error.began,
        )

    def document(self) -> dict[str, Any]:
        kind = TYPES.get(self.status) or ("server_error" if self.status >= 500 else "invalid_request_error")
        return {"message": self.message, "type": kind, "code": self.code, "param": self.param}

    @property
    def headers(self) -> dict[str, str]:
        retry = {} if self.retry_s is None else {"retry-after": str(math.ceil(self.retry_s))}
        return retry | ({} if self.repeatable else {"x-should-retry": "false"}) | self.given
