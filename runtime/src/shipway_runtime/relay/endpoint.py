"""The ASGI application that finds the server of a path and answers for what goes wrong on the way.

In: an HTTP request. Out: the backend's reply; 404 for unknown paths, 403 for callers from elsewhere.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from .exchange import Receive, Refused, Reply, Request, Scope, Send, deliver, json_reply
from .messages import INTERNAL_ERROR, RpcError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .backend import Backend

log = logging.getLogger("shipway.relay")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Endpoint:
    """`/mcp/NAME` for each backend. With `loopback`, callers must name this machine in Host and Origin."""

    def __init__(self, backends: Mapping[str, Backend], *, loopback: bool = True) -> None:
        self._backends = backends
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            await deliver(await self.reply(request), request, send)

    async def reply(self, request: Request) -> Reply:
        """The answer to one request. Never raises."""
        try:
            if self._loopback:
                check_names(request)
            return await self._find(request.path).handle(request)
        except Refused as refused:
            return json_reply({"error": str(refused)}, refused.status)
        except RpcError as error:
            return json_reply(error.answer(None), error.status)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return json_reply(RpcError(INTERNAL_ERROR, "the relay failed; see its log").answer(None), 500)

    def _find(self, path: str) -> Backend:
        kind, _, name = path.strip("/").partition("/")
        if kind != "mcp" or name not in self._backends:
            known = ", ".join(f"/mcp/{known}" for known in self._backends) or "no MCP server"
            raise Refused(404, f"no such path; here are: {known}")
        return self._backends[name]


def check_names(request: Request) -> None:
    """Raises Refused unless the caller means this machine: no web page reaches tools by DNS rebinding."""
    if not _HOST.fullmatch(request.headers.get("host", "")):
        raise Refused(403, "expected a Host header that names the loopback address")
    origin = request.headers.get("origin")
    if origin is not None and not _ORIGIN.fullmatch(origin):
        raise Refused(403, f"requests from {origin!r} are not allowed")


# Spelled out, not parsed: what a URL parser would forgive (user names, paths, a final dot) no client sends.
_LOCAL = r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"
_HOST = re.compile(_LOCAL, re.IGNORECASE)
_ORIGIN = re.compile(r"https?://" + _LOCAL, re.IGNORECASE)
