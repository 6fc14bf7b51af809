"""What a request asks the model, and what it was asked before in the same conversation.

In: a request and its provider. Out: an `Asked`, whose last turn is the one to answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.replay.apis.provider import LastMessage
from shipway.replay.matching import anatomy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shipway.replay.apis.provider import Provider
    from shipway.replay.exchange import Request


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model is asked at one point, and what it said just before."""

    last: LastMessage
    said: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The turns of a conversation up to now, under today's system prompt and model."""

    turns: tuple[Turn, ...]
    system: str = ""
    model: str = ""


def read(request: Request, provider: Provider, *, history: bool = True) -> Asked | None:
    """None for a request that is no turn of a conversation. Without `history`, the last turn alone."""
    last = provider.last_message(request.body)
    if last is None:
        return None
    system, model = anatomy.prompt(request.body), provider.model(request)
    found = anatomy.conversation(request.body)
    if found is None:
        return Asked((Turn(last),), system, model)
    name, items = found
    ends = _ends(items) if history else [len(items)]
    turns = (_turn(request.body | {name: items[:end]}, items[:end], provider) for end in ends)
    known = tuple(turn for turn in turns if turn)
    return Asked(known or (Turn(last),), system, model)


def _ends(items: Sequence[Any]) -> Iterator[int]:
    """Where the model's turn comes: after each stretch of what is not the model's."""
    for at, item in enumerate(items, 1):
        if anatomy.role(item) in ("user", "tool") and (
            at == len(items) or anatomy.role(items[at]) == "model"
        ):
            yield at
    if items and anatomy.role(items[-1]) not in ("user", "tool"):
        yield len(items)  # a beginning that the model is to go on from


def _turn(body: Any, items: Sequence[Any], provider: Provider) -> Turn | None:
    last = provider.last_message(body)
    return Turn(last, _said(items)) if last else None


def _said(items: Sequence[Any]) -> str:
    """The model's last words before what came last."""
    texts: list[str] = []
    for item in reversed(items):
        if anatomy.role(item) == "model":
            texts.insert(0, anatomy.said(item))
        elif texts:
            break
    return "\n".join(filter(None, texts))
