"""Errors of the API, in OpenAI's shape.

In: a status and what is wrong. Out: `{"error": {"message", "type", "code", "param"}}`.
"""

from __future__ import annotations

import math
from typing import Any

from starlette.responses import JSONResponse

from ..turn import TurnError, UnknownTurnError


class ApiError(Exception):
    """A request that gets no answer. `param` names the field that is wrong."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_s = retry_s

    @classmethod
    def of(cls, error: TurnError) -> ApiError:
        """The API's view of a turn that failed."""
        param = "previous_response_id" if isinstance(error, UnknownTurnError) else None
        return cls(error.status, str(error), code=error.code, param=param, retry_s=error.retry_s)

    def document(self) -> dict[str, Any]:
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"message": self.message, "type": kind, "code": self.code, "param": self.param}

    def response(self) -> JSONResponse:
        headers = None if self.retry_s is None else {"retry-after": str(math.ceil(self.retry_s))}
        return JSONResponse({"error": self.document()}, self.status, headers)
