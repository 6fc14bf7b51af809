"""Asking a server on loopback that answers as a test tells it to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.model_api import Asked, ModelApi, Says, says_json
from tests.ports import free_port
from tests.unit.runtime.conftest import Start, _starter

from shipway.errors import StackError
from shipway.evals.answer import Answer
from shipway.evals.asking import ATTEMPTS, Asking, Place
from shipway.spec.model import Price

pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from _starter(tmp_path)


AT_ONCE = {"retry_after": "0"}


def response(text: str, identity: str = "resp_c_1", **more: Any) -> dict[str, Any]:
    item = {"type": "message", "content": [{"type": "output_text", "text": text}]}
    usage = {"input_tokens": 1_000_000, "output_tokens": 100_000, "total_tokens": 1_100_000}
    return {"id": identity, "model": "big-2026", "output": [item], "usage": usage, "error": None} | more


def refusal(status: int, message: str = "no", code: str = "x", **headers: str) -> Says:
    return says_json({"error": {"message": message, "code": code}}, status, **headers)


def converse(answers: list[Says], *inputs: str, **place: Any) -> tuple[Answer, list[Asked]]:
    """What becomes of a conversation with an agent that gives these answers, the last one again and again."""
    left = list(answers)

    def answer(asked: Asked) -> Says:
        return left.pop(0) if len(left) > 1 else left[0]

    with ModelApi(answer) as server:
        found = asyncio.run(_converse(Place(server.url, **place), inputs or ("hi",)))
        return found, server.asked


async def _converse(place: Place, inputs: tuple[str, ...]) -> Answer:
    async with Asking(place) as asking:
        return await asking.converse(inputs)


def test_a_conversation_goes_on_by_the_previous_response() -> None:
    headers = {"x_shipway_revision": "r1"}
    answers = [
        says_json(response("one", "resp_c_1"), **headers),
        says_json(response("two", "resp_c_2"), **headers),
    ]
    prices = {"big": Price(input=2, output=10), "other": Price(input=9, output=9)}
    found, asked = converse(answers, "a", "b", key="k", prices=prices)
    assert [reply.text for reply in found.replies] == ["one", "two"]
    assert found.revisions == ("r1",)
    assert found.cost == pytest.approx(2 * (2 + 1))
    assert [request.body for request in asked] == [
        {"input": "a"},
        {"input": "b", "previous_response_id": "resp_c_1"},
    ]
    assert {request.headers["authorization"] for request in asked} == {"Bearer k"}
    assert {request.target for request in asked} == {"/v1/responses"}


@pytest.mark.parametrize("status", [429, 502, 503])
def test_who_was_not_asked_is_asked_again(status: int) -> None:
    found, asked = converse(
        [refusal(status, **AT_ONCE), refusal(status, **AT_ONCE), says_json(response("yes"))]
    )
    assert (found.text, len(asked)) == ("yes", 3)
    assert found.missing is None


def test_a_broken_connection_is_tried_again() -> None:
    broken = Says([b'{"id"', "cut"], headers={"content-length": "99", "content-type": "application/json"})
    found, asked = converse([broken, says_json(response("yes"))])
    assert (found.text, len(asked)) == ("yes", 2)


def test_what_stays_refused_is_missing_and_not_a_failure() -> None:
    found, asked = converse([refusal(429, "too many requests", **AT_ONCE)], deadline_s=2.0)
    assert found.missing == "429: too many requests"
    assert found.error is None
    assert len(asked) > 2


def test_an_agent_that_does_not_say_when_to_come_back_is_asked_a_few_times() -> None:
    found, asked = converse([refusal(503, "gone")], deadline_s=60.0)
    assert (found.missing, len(asked)) == ("503: gone", ATTEMPTS)


def test_the_limits_of_a_real_agent_are_waited_for(start: Start) -> None:
    """Five turns a second are allowed, and twenty cases ask at once."""
    source = "async def agent(messages, ctx): return 'yes'"
    running = start(source, settings={"limits": {"requests": [5, 1]}})
    url = f"http://127.0.0.1:{running.ports['API']}"

    async def ask() -> list[Answer]:
        async with Asking(Place(url, deadline_s=120.0)) as asking:
            return list(await asyncio.gather(*(asking.converse(["hi"]) for _ in range(20))))

    assert {answer.text for answer in asyncio.run(ask())} == {"yes"}
    assert "denied" in {outcome["status"] for outcome in running.outcomes()}


def test_a_wait_beyond_the_deadline_is_not_waited_for() -> None:
    began = time.monotonic()
    found, asked = converse([refusal(429, "spent", retry_after="36000")])
    assert (found.missing, len(asked)) == ("429: spent", 1)
    assert time.monotonic() - began < 3600


def test_an_agent_that_had_begun_is_not_asked_again() -> None:
    found, asked = converse([refusal(503, "cut off", x_should_retry="false", **AT_ONCE)])
    assert (found.missing, len(asked)) == ("503: cut off", 1)


@pytest.mark.parametrize("status", [400, 500, 504])
def test_an_agent_that_fails_has_failed(status: int) -> None:
    found, asked = converse([refusal(status, "the agent failed")], "a", "b")
    assert (found.error, found.missing, len(asked)) == (f"{status}: the agent failed", None, 1)


def test_a_response_that_failed_is_a_failure() -> None:
    found, _ = converse([says_json(response("half", error={"message": "broke"}))])
    assert found.error == "200: broke"


def test_an_agent_that_does_not_answer_in_time_has_failed() -> None:
    def slowly() -> Any:
        time.sleep(5)
        yield b"{}"

    found, _ = converse([Says(slowly())], deadline_s=0.2)
    assert found.error == "no answer within 0.2 s"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda: refusal(401, "who are you"), "answers 401: who are you"),
        (lambda: refusal(403, "not you"), "answers 403: not you"),
        (lambda: Says([b"nothing here"], 404), "has no /v1/responses"),
    ],
)
def test_what_is_wrong_with_every_case_ends_the_run(answer: Callable[[], Says], message: str) -> None:
    with pytest.raises(StackError, match=message):
        converse([answer()])


def test_a_conversation_that_is_not_known_any_more_is_the_agents_failure() -> None:
    lost = refusal(404, "turn 1 is not known", code="previous_response_not_found")
    found, _ = converse([says_json(response("one")), lost], "a", "b")
    assert found.error == "404: turn 1 is not known"


def test_nobody_there_ends_the_run() -> None:
    with pytest.raises(StackError, match="nothing answers at"):
        asyncio.run(_converse(Place(f"http://127.0.0.1:{free_port()}"), ("hi",)))
