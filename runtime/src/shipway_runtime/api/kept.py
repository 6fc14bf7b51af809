"""Turns that are over, as OpenAI's responses and items: what is kept of one, and what is made of that again.

In: turns as the store has them. Out: documents. Pure: no I/O. What was said is in the turn's messages; what a
response says beyond that is kept with it, and nothing twice: a plain answer keeps its usage and no more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from . import items, openai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..conversations.store import Turned
    from ..dialogue import Message
    from .items import Item

ADDED: dict[str, Any] = {"added": True}
"""What is kept of a message that a client put into a conversation, which is a turn without an answer."""

STATUS: dict[str, openai.Status] = {"ok": "completed", "cancelled": "cancelled"}  # anything else has failed
ITEM_ID = re.compile(r"(?:msg|mcp)_([A-Za-z0-9_-]+)_([0-9]{1,9})_i?[0-9]{1,9}")


def keep(document: Mapping[str, Any]) -> dict[str, Any]:
    """What to keep of a response."""
    names = ("instructions", "previous_response_id", "metadata", "usage", "completed_at")
    kept = {name: document[name] for name in names if document[name]}
    output = document["output"]
    if len(output) == 1 and output[0]["type"] == "message" and document["status"] == "completed":
        return kept
    return kept | {"output": output}


def response(turned: Turned, identity: str, conversation: str, model: str) -> dict[str, Any] | None:
    """A response that is over; None where nothing was kept of it, or there never was one."""
    kept = turned.response
    if kept == ADDED or (kept is None and turned.messages is None):
        return None
    status = STATUS.get(turned.status, "failed")
    error = None
    if status == "failed":
        error = {"code": "server_error", "message": "the agent failed to answer"}
    document = openai.document(identity, int(turned.started), conversation, model, status, [])
    return document | {"output": output(turned, identity), "error": error} | (kept or {})


def given(turned: Turned, identity: str) -> list[Item]:
    """The items that a turn was asked with."""
    messages = turned.messages or []
    said = messages if turned.response == ADDED else messages[:-1]
    return [_item(message, f"{_prefix(identity)}_i{index}") for index, message in enumerate(said)]


def output(turned: Turned, identity: str) -> list[Item]:
    """The items that a turn gave."""
    kept = turned.response
    if kept == ADDED or turned.messages is None:
        return []
    if kept and (output := kept.get("output")):
        return list(output)
    return [_item(turned.messages[-1], f"{_prefix(identity)}_0")]


def place_of_item(identity: str) -> tuple[str, int] | None:
    """The conversation and turn of an item's id, or None when it is not one of ours."""
    match = ITEM_ID.fullmatch(identity)
    return (match[1], int(match[2])) if match else None


def _prefix(identity: str) -> str:
    return identity.replace("resp_", "msg_", 1)


def _item(message: Message, identity: str) -> Item:
    if message["role"] == "assistant":
        return {"id": identity} | items.message("completed", message["content"])
    content = [{"type": "input_text", "text": message["content"]}]
    return {
        "id": identity,
        "type": "message",
        "status": "completed",
        "role": message["role"],
        "content": content,
    }
