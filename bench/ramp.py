"""A ramp under conversations: how many of them another backend goes on with.

In: a router with two backends. Out: for each way in which a conversation is known, how many moved while b
went from 5 to 25, 50 and 100 percent of new conversations. At each weight new ones begin, and every one that
has begun says something more.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from routers import Router

WEIGHTS = (5, 25, 50, 100)
EACH = 100
"""Conversations of each kind that begin at each weight."""

NAME = "x-conversation-id"


def caller(http: httpx2.Client, known: str | None, number: int) -> httpx2.Response:
    """The caller names it in a header."""
    return http.post("/v1/responses", json={"input": "hello"}, headers={NAME: known or f"mine{number}"})


def agent(http: httpx2.Client, known: str | None, number: int) -> httpx2.Response:
    """The agent makes the name up; the caller says it in a header from then on."""
    return http.post("/v1/responses", json={"input": "hello"}, headers={NAME: known} if known else {})


def body(http: httpx2.Client, known: str | None, number: int) -> httpx2.Response:
    """The agent makes the name up; the caller goes on from the last response, as OpenAI's SDK does."""
    previous = {"previous_response_id": f"resp_{known}_1"} if known else {}
    return http.post("/v1/responses", json={"input": "hello", **previous})


KINDS = {
    "named by the caller": caller,
    "named by the agent, said in a header": agent,
    "named by the agent, said in the body": body,
}


def moved(router: Router, kind: Callable[..., httpx2.Response]) -> int:
    """Of `len(WEIGHTS) * EACH` conversations."""
    begun: dict[str, tuple[str, int]] = {}
    went: set[str] = set()
    with httpx2.Client(base_url=f"http://127.0.0.1:{router.port}", trust_env=False, timeout=30) as http:
        for weight in WEIGHTS:
            router.weigh(weight)
            for number in range(EACH):
                answer = _answered(kind(http, None, weight * EACH + number))
                begun[answer.headers[NAME]] = answer.headers["x-slot"], number
            went |= set(_moved(http, kind, begun, random.Random(weight)))  # noqa: S311
        router.weigh(0)
    return len(went)


def _moved(
    http: httpx2.Client,
    kind: Callable[..., httpx2.Response],
    begun: dict[str, tuple[str, int]],
    chance: random.Random,
) -> Iterator[str]:
    """Out of order: else a round robin gives each the same again, by accident."""
    said = list(begun.items())
    chance.shuffle(said)
    for name, (slot, number) in said:
        if _answered(kind(http, name, number)).headers["x-slot"] != slot:
            yield name


def _answered(answer: httpx2.Response) -> httpx2.Response:
    if answer.status_code != 200:
        raise SystemExit(f"the router answers {answer.status_code}: {answer.text[:200]}")
    return answer
