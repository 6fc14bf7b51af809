"""Conversations: begin one, note something on it, read and write its items, delete it.

In: a path with an id; items and metadata as OpenAI has them. Out: OpenAI's documents. A conversation of
another tenant is not there. An item that a client adds is a turn of its own, without an answer: so it can be
deleted again, as sessions of openai-agents do. Errors: ApiError.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from ..contract import response_id
from ..conversations.store import BusyError, Place, Turned
from . import input, kept, openai, paging  # noqa: A004 - OpenAI's word for it
from .callers import caller
from .errors import ApiError
from .exchange import headers_of, read_json, send_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from ..conversations.store import Conversation, Store
    from ..dialogue import Message
    from .items import Item

MOST_ADDED = 20  # at once, as OpenAI has it
STEP = 50  # turns that are read at once


class Conversations:
    """The endpoints. `body_limit` is in bytes."""

    def __init__(self, store: Store, *, body_limit: int) -> None:
        self._store, self._body_limit = store, body_limit

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._body(scope, receive, optional=True)
        metadata, added = openai.metadata(body), _added(body.get("items"), "items")
        place = Place(caller(scope).tenant, f"conv_{uuid.uuid4().hex}")
        await self._store.create(place, metadata)
        if added:
            await self._append(place, added)
        await self._show(place, send)

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._show(_place(scope), send)

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = _place(scope)
        body = await self._body(scope, receive)
        if body.get("metadata") is None:
            input.refuse("metadata", "an object", None)
        metadata = openai.metadata(body)
        if not await self._store.update(place, metadata):
            raise _missing(place.conversation)
        await self._show(place, send)

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = _place(scope)
        if not await self._store.delete(place):
            raise _missing(place.conversation)
        await send_json(send, {"id": place.conversation, "object": "conversation.deleted", "deleted": True})

    # -- Items

    async def list_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        place, page = _place(scope), paging.parse(scope["query_string"])
        await self._find(place)
        await send_json(send, await self._page(place, page))

    async def add_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = _place(scope)
        body = await self._body(scope, receive)
        added = _added(body.get("items"), "items")
        if not body.get("items"):
            input.refuse("items", "a list of items, not empty", body.get("items"))
        await self._find(place)
        await send_json(send, paging.listed(await self._append(place, added)))

    async def show_item(self, scope: Scope, receive: Receive, send: Send) -> None:
        place, identity = _place(scope), scope["path_params"]["item_id"]
        await send_json(send, await self._item(place, identity))

    async def delete_item(self, scope: Scope, receive: Receive, send: Send) -> None:
        place, identity = _place(scope), scope["path_params"]["item_id"]
        await self._item(place, identity)
        number = (kept.place_of_item(identity) or ("", 0))[1]
        turned = await self._store.read(place, number)
        if turned is None or turned.response != kept.ADDED:
            message = f"{identity} belongs to a response; delete that"
            raise ApiError(400, message, code="item_of_response", param="item_id")
        await self._store.delete_turn(place, number)
        await self._show(place, send)

    # -- What they are made of

    async def _body(self, scope: Scope, receive: Receive, *, optional: bool = False) -> dict[str, Any]:
        headers = headers_of(scope)
        if optional and headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers:
            return {}
        body = await read_json(headers, receive, self._body_limit)
        if not isinstance(body, dict):
            input.refuse("body", "an object", body)
        return body

    async def _find(self, place: Place) -> Conversation:
        found = await self._store.find(place)
        if found is None:
            raise _missing(place.conversation)
        return found

    async def _show(self, place: Place, send: Send) -> None:
        found = await self._find(place)
        document = {"id": place.conversation, "object": "conversation", "created_at": int(found.started)}
        await send_json(send, document | {"metadata": found.metadata})

    async def _append(self, place: Place, messages: list[Message]) -> list[Item]:
        added: list[Item] = []
        try:
            async with self._store.hold(place):
                before = await self._store.before(place, None)
                number, previous = (before.last, before.previous) if before else (0, None)
                last = number + len(messages)
                for message in messages:
                    number += 1
                    turned = Turned(number, previous, time.time(), "ok", [message], response=kept.ADDED)
                    await self._store.add(place, turned, more=number < last)
                    added += _items(place, turned)
                    previous = number
        except BusyError:
            busy = f"a turn of conversation {place.conversation} runs; add items when it is over"
            raise ApiError(409, busy, code="conversation_busy", retry_s=1.0) from None
        return added

    async def _item(self, place: Place, identity: str) -> Item:
        found = kept.place_of_item(identity)
        if found and found[0] == place.conversation:
            turned = await self._store.read(place, found[1])
            for item in _items(place, turned) if turned else []:
                if item["id"] == identity:
                    return item
        raise ApiError(404, f"no item {identity[:200]} here", code="item_not_found", param="item_id")

    async def _page(self, place: Place, page: paging.Page) -> dict[str, Any]:
        """A page of a conversation's items: its turns are read until there are enough."""
        found: list[Item] = []
        after, skipping = self._start(place, page), page.after is not None
        while len(found) <= page.limit:
            turns = await self._store.turns(place, after=after, limit=STEP, newest_first=page.newest_first)
            for turned in turns:
                items = _items(place, turned)
                found += items[::-1] if page.newest_first else items
                after = turned.turn
            if skipping and turns:
                found, skipping = _after(found, page), False
            if len(turns) < STEP:
                break
        return paging.listed(found[: page.limit], has_more=len(found) > page.limit)

    def _start(self, place: Place, page: paging.Page) -> int | None:
        if page.after is None:
            return None
        found = kept.place_of_item(page.after)
        if found is None or found[0] != place.conversation:
            raise _no_such_item(page)
        return found[1] + (1 if page.newest_first else -1)


def _after(items: list[Item], page: paging.Page) -> list[Item]:
    for index, item in enumerate(items):
        if item["id"] == page.after:
            return items[index + 1 :]
    raise _no_such_item(page)


def _no_such_item(page: paging.Page) -> ApiError:
    message = f"after: no item {page.after} in this conversation"
    return ApiError(404, message[:300], code="item_not_found", param="after")


def _items(place: Place, turned: Turned) -> list[Item]:
    identity = response_id(place.conversation, turned.turn)
    return kept.given(turned, identity) + kept.output(turned, identity)


def _added(given: Any, param: str) -> list[Message]:
    if isinstance(given, list) and len(given) > MOST_ADDED:
        raise ApiError(400, f"{param}: {len(given)} items, at most {MOST_ADDED} at once", param=param)
    return [] if given is None else input.items(given, param)


def _place(scope: Scope) -> Place:
    identity = scope["path_params"]["conversation_id"]
    if not openai.CONVERSATION.fullmatch(identity):
        raise _missing(identity)
    return Place(caller(scope).tenant, identity)


def _missing(identity: str) -> ApiError:
    message = f"no conversation {identity[:200]} here"
    return ApiError(404, message, code="conversation_not_found", param="conversation_id")
