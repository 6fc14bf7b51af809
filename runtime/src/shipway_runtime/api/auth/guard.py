"""The layer in front of the API, or of the user's own application: nobody gets past it unknown.

In: requests as ASGI has them, websockets too. Out: the same requests with their `Caller`, or a refusal in
OpenAI's error shape. The header x-shipway-tenant that an application sees was written here: one that came
from outside is taken away, also in the spelling that WSGI and CGI would take for the same.

Health is for everybody: probes have no keys. A browser's preflight has none either, and is let through.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ...contract import TENANT_HEADER
from ..callers import Caller, admit
from ..errors import ApiError
from ..exchange import send_error
from .refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric
    from starlette.types import Receive, Scope, Send

    from ...adapters.kinds import AsgiApp
    from . import Auth

OPEN = frozenset({"/healthz", "/readyz", "/readiness", "/ping"})

_HEADER = TENANT_HEADER.encode()
_PREFLIGHT = {b"origin", b"access-control-request-method"}
_POLICY_VIOLATION = 1008  # RFC 6455 7.4.1


class Guard:
    """`app`, for those whom `auth` lets in. `refused` counts the others by the code they were told."""

    def __init__(self, app: AsgiApp, auth: Auth, realm: str) -> None:
        self._app, self._auth, self._realm = app, auth, realm
        self.refused: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)  # the lifespan
        try:
            caller = Caller() if _is_open(scope) else await self._auth.caller(scope)
        except Refused as refused:
            self.refused[refused.code] += 1
            return await self._refuse(refused, scope, send)
        admit(scope, caller)
        scope["headers"] = _headers(scope["headers"], caller.tenant)
        return await self._app(scope, receive, send)

    def collect(self) -> Iterable[Metric]:
        """For the page of metrics, which is made on another thread."""
        from prometheus_client.core import CounterMetricFamily

        refused = CounterMetricFamily(
            "shipway_auth_refused",
            "Requests that were not let in, by the code they were told",
            labels=["code"],
        )
        for code, count in self.refused.copy().items():
            refused.add_metric([code], count)
        yield refused

    async def _refuse(self, refused: Refused, scope: Scope, send: Send) -> None:
        error = ApiError(
            refused.status,
            str(refused),
            code=refused.code,
            retry_s=refused.retry_s,
            headers=self._challenge(refused) if refused.status == 401 else {},
        )
        if scope["type"] == "http":
            await send_error(send, error)
        elif "websocket.http.response" in scope.get("extensions", {}):
            await send_error(_on_websocket(send), error)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def _challenge(self, refused: Refused) -> dict[str, str]:
        why = f', error="{refused.error}", error_description="{_quotable(str(refused))}"'
        return {"www-authenticate": f'Bearer realm="{self._realm}"{why if refused.error else ""}'}


def _is_open(scope: Scope) -> bool:
    method = scope.get("method")  # a websocket has none
    if method == "OPTIONS":
        return {name for name, _ in scope["headers"]} >= _PREFLIGHT
    return method in ("GET", "HEAD") and scope["path"] in OPEN


def _headers(given: Iterable[tuple[bytes, bytes]], tenant: str | None) -> list[tuple[bytes, bytes]]:
    headers = [pair for pair in given if pair[0].lower().replace(b"_", b"-") != _HEADER]
    return [*headers, (_HEADER, tenant.encode())] if tenant is not None else headers


def _quotable(text: str) -> str:
    """As it may stand in quotes in a header (RFC 6750 3)."""
    return text.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "/")


def _on_websocket(send: Send) -> Send:
    """For an answer to a handshake that is not accepted."""

    async def send_denial(message: Any) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return send_denial
