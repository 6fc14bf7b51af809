"""The API's application: every path of port 8080.

In: the turns of an agent, and the two health documents, which come from the same caches as on the admin
port. Out: an ASGI application. Paths that are not there answer in OpenAI's error shape too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route

from .errors import ApiError
from .invocations import Invocations
from .responses import Responses

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from ..health import Document
    from ..turns import Turns


def build(
    turns: Turns,
    *,
    model: str,
    body_limit: int,
    alive: Callable[[], Document],
    ready: Callable[[], Document],
) -> Starlette:
    """The application that serves `turns`."""
    responses = Responses(turns, model=model, body_limit=body_limit)
    invocations = Invocations(turns, body_limit=body_limit)
    return Starlette(
        routes=[
            Route("/v1/responses", responses, methods=["POST"]),
            Route("/responses", responses, methods=["POST"]),
            Route("/invocations", invocations, methods=["POST"]),
            Route("/ping", invocations.ping),
            Route("/healthz", _show(alive)),
            Route("/readyz", _show(ready)),
            Route("/readiness", _show(ready)),
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


def _show(document: Callable[[], Document]) -> Callable[[Request], JSONResponse]:
    async def show(request: Request) -> JSONResponse:
        status, content = document()
        return JSONResponse(content, status)

    return show  # type: ignore[return-value]


def _refused(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason = {404: "nothing at", 405: "another method than"}.get(status, "refused:")
    return ApiError(status, f"{reason} {request.method} {request.url.path}").response()


def _failed(request: Request, error: Exception) -> JSONResponse:
    return ApiError(500, "the request failed; the log of this instance says why").response()
