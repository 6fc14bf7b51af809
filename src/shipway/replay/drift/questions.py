"""The questions that recordings answer, as users asked them.

In: recorded requests. Out: conversations, each the user's messages in order. What a request inside a turn
asks, after a tool was called, is asked again by asking the turn's question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.replay.apis import providers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipway.replay.exchange import Request

_LISTS = ("messages", "input", "contents")

Conversation = tuple[str, ...]


def conversations(requests: Iterable[Request]) -> list[Conversation]:
    """Each once, in the order of the requests, without those that another one begins with."""
    found = dict.fromkeys(_conversation(request) for request in requests)
    begun = {one[:length] for one in found for length in range(len(one))}
    return [one for one in found if one and one not in begun]


def _conversation(request: Request) -> Conversation:
    """What the user said; empty where that is not in the request, or is more than text."""
    provider, body = providers.find(request.path), request.body
    if provider is None or not isinstance(body, dict) or body.get("previous_response_id"):
        return ()
    key = next((key for key in _LISTS if body.get(key)), "")
    said = body.get(key)
    if isinstance(said, str):
        return (said,)
    users = [i for i, item in enumerate(said or ()) if isinstance(item, dict) and item.get("role") == "user"]
    lasts = [provider.last_message(body | {key: said[: i + 1]}) for i in users] if said else []
    if any(last is None for last in lasts):
        return ()
    texts = tuple(last.text for last in lasts if last and not last.results)
    return texts if all(texts) else ()
