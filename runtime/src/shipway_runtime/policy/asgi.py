"""The door of an application that owns the API port: it has requests, and no turns.

In: an ASGI application, the admission. Out: the same, but that a request is refused while the policy switches
agent or its tenant off, or while there are too many. Nobody says here what a request has used, so budgets of
tokens and dollars cannot hold.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..api.callers import caller
from ..api.errors import ApiError
from ..api.exchange import send_error
from .admission import DeniedError

if TYPE_CHECKING:
    from ..adapters.kinds import AsgiApp
    from ..contract import Model
    from .admission import Admission, Passage

POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class Guarded:
    """`app` behind admission. Its model cannot be switched from outside: a killed one switches it off."""

    def __init__(self, app: AsgiApp, admission: Admission, model: Model | None) -> None:
        self._app, self._admission = app, admission
        self._model = model and dataclasses.replace(model, fallbacks=())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            passage: Passage = await self._admission.enter(caller(scope).tenant, self._model)
        except DeniedError as error:
            await _refuse(error, scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            await passage.leave()


async def _refuse(error: DeniedError, scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": str(error)})
    else:
        await send_error(send, ApiError.of(error))
