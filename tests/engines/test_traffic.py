"""Both routers by the same suite: HAProxy, and the embedded one. Real requests to real backends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.routing import HEADER, Revision, Router, embedded, haproxy, until

from shipway.errors import RolloutError
from shipway.rollout.traffic.embedded import Embedded
from shipway.rollout.traffic.haproxy import HAProxy
from shipway.rollout.traffic.split import BODY_LIMIT, Slot, Split
from shipway_runtime import contract


@pytest.fixture(params=["haproxy", "embedded"])
def router(request: pytest.FixtureRequest, tmp_path: Path, engine: Callable[[str], str]) -> Iterator[Router]:
    made = haproxy(engine("haproxy"), tmp_path) if request.param == "haproxy" else embedded()
    with made as running:
        yield running


@pytest.fixture
def revisions() -> Iterator[dict[Slot, Revision]]:
    made: dict[Slot, Revision] = {"a": Revision("a"), "b": Revision("b")}
    yield made
    for revision in made.values():
        revision.end()


def split(revisions: dict[Slot, Revision], weight: int, stay: bool = True) -> Split:
    return Split(revisions["a"].backend, revisions["b"].backend, weight, stay)


def test_new_conversations_go_by_weight(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 25))
    router.until_ready("a", "b")
    went = Counter(router.slot(f"c{number}") for number in range(40))
    assert went == {"a": 30, "b": 10}


def test_a_conversation_stays_while_weights_change(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 5))
    router.until_ready("a", "b")
    first = {f"c{number}": router.slot(f"c{number}") for number in range(40)}
    assert Counter(first.values())["b"] == 2
    for weight in (25, 60, 100, 0):
        router.traffic.apply(split(revisions, weight))
        assert {conversation: router.slot(conversation) for conversation in first} == first
    assert router.traffic.pins() == first


def test_everybody_moves_at_once(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    conversations = [f"c{number}" for number in range(20)]
    assert {router.slot(conversation) for conversation in conversations} == {"a", "b"}
    router.traffic.apply(split(revisions, 0, stay=False))
    assert {router.slot(conversation) for conversation in conversations} == {"a"}


@pytest.mark.parametrize("known_by", ["header", "previous_response_id", "conversation", "conversation.id"])
def test_a_conversation_whose_id_the_agent_made_up_stays_too(
    router: Router, revisions: dict[Slot, Revision], known_by: str
) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    for _ in range(10):
        answer = router.ask()
        conversation, slot = answer.headers[HEADER], answer.json()["slot"]
        for turn in range(1, 4):
            again = {
                "header": {"conversation": conversation},
                "previous_response_id": {"previous_response_id": contract.response_id(conversation, turn)},
            }.get(known_by)
            if again is None:
                named = conversation if known_by == "conversation" else {"id": conversation}
                body = {"input": "more", "conversation": named}
                assert router.http.post("/v1/responses", json=body).json()["slot"] == slot
            else:
                assert router.slot(**again) == slot  # type: ignore[arg-type]


def test_a_body_that_is_too_large_to_look_into_is_passed_on(
    router: Router, revisions: dict[Slot, Revision]
) -> None:
    """As a conversation of its own, unless the header names it."""
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    slot = router.slot("known")
    large = "x" * (3 * BODY_LIMIT)
    assert router.ask(filler=large).json()["bytes"] > 3 * BODY_LIMIT
    assert {router.slot("known", filler=large) for _ in range(6)} == {slot}


def test_names_that_are_no_conversation_do_no_harm(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    hostile = {"previous_response_id": "resp_; show stat", "conversation": {"id": ["x"]}}
    assert router.http.post("/v1/responses", json=hostile).status_code == 200
    assert router.http.post("/v1/responses", content=b'["previous_response_id"').status_code == 200
    assert router.http.post("/v1/responses", content=b"").status_code == 200
    router.traffic.pin({"x; set server agent/a state maint": "a"})
    assert router.slot() in "ab"


def test_a_revision_that_is_not_ready_gets_nobody(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    pinned = [f"c{number}" for number in range(10)]
    assert {router.slot(conversation) for conversation in pinned} == {"a", "b"}
    revisions["b"].ready = False
    until(lambda: not router.traffic.served()["b"].ready)
    assert {router.slot(conversation) for conversation in pinned} == {"a"}
    revisions["a"].ready = False
    until(lambda: not router.traffic.served()["a"].ready)
    refused = router.ask()
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["code"] == "unavailable"
    revisions["a"].ready = True
    router.until_ready("a")
    assert router.slot() == "a"


def test_a_turn_whose_revision_has_just_ended_is_anothers(
    router: Router, revisions: dict[Slot, Revision]
) -> None:
    router.traffic.apply(split(revisions, 0))
    router.until_ready("a", "b")
    router.traffic.pin({"c": "b"})
    revisions["b"].end()
    assert router.slot("c") == "a"


def test_a_restart_is_mended_by_saying_everything_again(
    router: Router, revisions: dict[Slot, Revision]
) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    before = {f"c{number}": router.slot(f"c{number}") for number in range(40)}
    kept = router.traffic.pins()
    assert kept == before
    router.restart()
    router.traffic.pin(kept)
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    assert {conversation: router.slot(conversation) for conversation in before} == before


def test_haproxy_that_starts_anew_serves_at_once_where_everybody_goes_to_one(
    tmp_path: Path, engine: Callable[[str], str], revisions: dict[Slot, Revision]
) -> None:
    """Before anybody has spoken to it. Where users are split it waits to be told the pins."""
    with haproxy(engine("haproxy"), tmp_path) as router:
        router.traffic.apply(split(revisions, 0))
        router.until_ready("a")
        router.restart()
        router.until_ready("a")
        assert router.slot() == "a"
        router.traffic.apply(split(revisions, 50))
        router.until_ready("a", "b")
        router.restart()
        assert router.ask().status_code == 503


def test_what_is_known_is_not_pinned_over(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 0))
    router.until_ready("a", "b")
    assert router.slot("known") == "a"
    router.traffic.pin({"known": "b", "forgotten": "b"})
    assert (router.slot("known"), router.slot("forgotten")) == ("a", "b")


def test_an_answer_comes_as_it_is_written(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(Split(revisions["a"].backend))
    router.until_ready("a")
    with router.http.stream("POST", "/stream", json={}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"  # the backend has not written the last one
        assert router.traffic.served()["a"].active == 1
        revisions["a"].go_on.set()
        assert [line for line in lines if line] == ["data: last"]
    until(lambda: router.traffic.served()["a"].active == 0)


def test_a_stream_goes_on_while_its_revision_loses_its_users(
    router: Router, revisions: dict[Slot, Revision]
) -> None:
    router.traffic.apply(split(revisions, 100))
    router.until_ready("a", "b")
    with router.http.stream("POST", "/stream", json={}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        router.traffic.apply(split(revisions, 0, stay=False))
        assert router.slot("new") == "a"
        revisions["b"].go_on.set()
        assert [line for line in lines if line] == ["data: last"]


def test_one_revision_follows_another_in_a_slot(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(Split(revisions["a"].backend))
    router.until_ready("a")
    assert router.slot("c") == "a"
    other = Revision("b")
    try:
        router.traffic.apply(Split(other.backend, revisions["a"].backend, 0, stay=False))
        router.until_ready("b")
        assert router.slot("c") == "b"
    finally:
        other.end()


def test_a_socket_that_is_not_there_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=r"HAProxy does not answer at .*nothing\.sock"):
        HAProxy(str(tmp_path / "nothing.sock")).served()


def test_the_embedded_router_closes_a_websocket() -> None:
    sent: list[dict[str, Any]] = []

    async def scenario() -> None:
        async def send(event: Any) -> None:
            sent.append(event)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        app = Embedded()
        await app({"type": "websocket"}, receive, send)
        await app.close()

    asyncio.run(scenario())
    assert [event["type"] for event in sent] == ["websocket.close"]
