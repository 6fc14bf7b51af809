"""Errors of the API, in OpenAI's shape.

In: a status and what is wrong. Out: `{"error": {"message", "type", "code", "param"}}`.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from ..drain import RETRY_AFTER_S
from ..turns import AgentError, DrainingError, TurnError, UnknownTurnError

STATUS: dict[type[TurnError], int] = {
    UnknownTurnError: 404,
    DrainingError: 503,
    AgentError: 500,
    TurnError: 500,
}


class ApiError(Exception):
    """A request that gets no answer. `param` names the field that is wrong."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param

    @classmethod
    def of(cls, error: TurnError) -> ApiError:
        """The API's view of a turn that failed."""
        param = "previous_response_id" if isinstance(error, UnknownTurnError) else None
        return cls(STATUS[type(error)], str(error), code=error.code, param=param)

    def document(self) -> dict[str, Any]:
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"message": self.message, "type": kind, "code": self.code, "param": self.param}

    def response(self) -> JSONResponse:
        headers = {"retry-after": str(RETRY_AFTER_S)} if self.status == 503 else None
        return JSONResponse({"error": self.document()}, self.status, headers)
