"""Starting over, over HTTP: `POST /_shipway/rewind` makes the first recording of each request the next one.

In: requests to the replay. Out: 204 for this one, where the host is loopback; all others go to the app that
it wraps. A test suite asks for it before each test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/_shipway/rewind"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def with_rewinding(app: ASGIApp, *rewind: Callable[[], None]) -> ASGIApp:
    """The app, and beside it the path that has everything start over."""

    async def rewinding(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            from starlette.requests import Request  # 30 ms that few replays need

            await _answer(Request(scope), rewind)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return rewinding


def _answer(request: Request, rewind: Iterable[Callable[[], None]]) -> Response:
    from starlette.responses import PlainTextResponse, Response

    if request.url.hostname not in _LOOPBACK:
        return PlainTextResponse(f"expected a host that is loopback, saw {request.url.hostname}\n", 403)
    if request.method != "POST":
        return PlainTextResponse(f"expected POST, saw {request.method}\n", 405)
    for start_over in rewind:
        start_over()
    return Response(status_code=204)
