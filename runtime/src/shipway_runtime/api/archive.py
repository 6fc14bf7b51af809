"""Responses by their id: read one, list what it was asked with, delete it, end it while it runs.

In: a path with an id. Out: OpenAI's documents. A response of another tenant is not there. Errors: ApiError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from ..contract import CONVERSATION_HEADER, parse_response_id
from ..conversations.store import Place
from . import kept, openai, paging
from .callers import caller
from .errors import ApiError
from .exchange import send_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from ..conversations.store import Store, Turned
    from ..turn import Turn
    from ..turns import Turns


class Archive:
    """Four endpoints. `model` is what responses name as their model."""

    def __init__(self, turns: Turns, store: Store, *, model: str) -> None:
        self._turns, self._store, self._model = turns, store, model

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        if b"stream=true" in scope["query_string"].lower():
            message = "stream: a response that is over cannot be streamed again"
            raise ApiError(400, message, code="unsupported_parameter", param="stream")
        identity, place, number = _asked(scope)
        if turn := self._turns.running(identity, place.tenant):
            document = self._running(turn, "in_progress")
        else:
            turned = await self._read(identity, place, number)
            found = kept.response(turned, identity, place.conversation, self._model)
            document = found or _missing(identity)
        await send_json(send, document, headers={CONVERSATION_HEADER: place.conversation})

    async def inputs(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity, place, number = _asked(scope)
        page = paging.parse(scope["query_string"])
        turned = await self._read(identity, place, number)
        found = kept.given(turned, identity)
        await send_json(send, paging.cut(found[::-1] if page.newest_first else found, page))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity, place, number = _asked(scope)
        await self._read(identity, place, number)
        await self._store.delete_turn(place, number)
        await send_json(send, {"id": identity, "object": "response", "deleted": True})

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End a turn that runs in this process. A router finds it by the response's id."""
        identity, place, number = _asked(scope)
        turn = self._turns.running(identity, place.tenant)
        if turn is None:
            await self._read(identity, place, number)
            message = f"{identity} is over; what runs can be cancelled"
            code = "response_not_running"
            raise ApiError(409, message, code=code, param="response_id", repeatable=False)
        self._turns.cancel(turn)
        await send_json(send, self._running(turn, "cancelled"))

    def _running(self, turn: Turn, status: openai.Status) -> dict[str, Any]:
        where = turn.context.conversation
        return openai.document(turn.id, int(turn.started), where, self._model, status, [])

    async def _read(self, identity: str, place: Place, number: int) -> Turned:
        """The turn of a response, if there was one and something is kept of it."""
        turned = await self._store.read(place, number)
        if turned is None or kept.response(turned, identity, place.conversation, self._model) is None:
            _missing(identity)
        return turned


def _asked(scope: Scope) -> tuple[str, Place, int]:
    identity = scope["path_params"]["response_id"]
    found = parse_response_id(identity)
    if found is None:
        _missing(identity)
    return identity, Place(caller(scope).tenant, found[0]), found[1]


def _missing(identity: str) -> NoReturn:
    message = f"no response {identity[:200]} here"
    raise ApiError(404, message, code="response_not_found", param="response_id")
