"""Which endpoint answers which path.

In: a table, path -> method -> endpoint, where a part of a path in braces stands for anything. Out: an ASGI
application. What is not there answers in OpenAI's error shape, too. A dictionary finds most paths: one
look-up instead of a regular expression for each route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ApiError
from .exchange import answering_errors, send_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from .exchange import Endpoint

ABOUT = "this is OpenAI's Responses API: POST /v1/responses, and GET /openapi.json for the rest"

Methods = dict[str, "Endpoint"]


class Routes:
    """The application. An endpoint finds what stands for the parts in braces in `scope["path_params"]`."""

    def __init__(self, table: Mapping[str, Mapping[str, Endpoint]]) -> None:
        self.table = table
        self._fixed: dict[str, Methods] = {}
        self._open: list[tuple[list[str], Methods]] = []
        for path, methods in table.items():
            made = {method: answering_errors(endpoint) for method, endpoint in methods.items()}
            if "GET" in made:
                made["HEAD"] = made["GET"]  # the server leaves the body out
            if "{" in path:
                self._open.append((path.split("/"), made))
            else:
                self._fixed[path] = made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _other(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        methods = self._fixed.get(path) or self._match(scope)
        if methods is None:
            message = f"nothing at {method} {path}; {ABOUT}"
            await send_error(send, ApiError(404, message, code="not_found"))
        elif endpoint := methods.get(method):
            await endpoint(scope, receive, send)
        else:
            allowed = ", ".join(methods)
            message = f"{path} answers {allowed}, saw {method}"
            headers = {"allow": allowed}
            await send_error(send, ApiError(405, message, code="method_not_allowed", headers=headers))

    def _match(self, scope: Scope) -> Methods | None:
        parts = scope["path"].split("/")
        for pattern, methods in self._open:
            if len(pattern) == len(parts):
                pairs = list(zip(pattern, parts, strict=True))
                if all(part if want[:1] == "{" else want == part for want, part in pairs):
                    scope["path_params"] = {want[1:-1]: part for want, part in pairs if want[:1] == "{"}
                    return methods
        return None


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """Lifespan, in which nothing is to be done, and web sockets, of which there are none."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "websocket.close", "code": 1000})
