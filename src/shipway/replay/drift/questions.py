"""The questions that recordings answer, as users asked them.

In: recorded requests. Out: conversations, each the user's messages in order. What a request inside a turn
asks, after a tool was called, is asked again by asking the turn's question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.replay.apis import providers
from shipway.replay.scripts import conversation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipway.replay.exchange import Request

Conversation = tuple[str, ...]


def conversations(requests: Iterable[Request]) -> list[Conversation]:
    """Each once, in the order of the requests, without those that another one begins with."""
    found = dict.fromkeys(_conversation(request) for request in requests)
    begun = {one[:length] for one in found for length in range(len(one))}
    return [one for one in found if one and one not in begun]


def _conversation(request: Request) -> Conversation:
    """What the user said; empty where that is not in the request, or is more than text."""
    provider = providers.find(request.path)
    asked = conversation.read(request, provider) if provider else None
    if asked is None or request.body.get("previous_response_id"):
        return ()
    texts = tuple(turn.last.text for turn in asked.turns if not turn.last.results)
    return texts if all(texts) else ()
