"""The real control reads what a real runtime lets it read of its turns, and forgets what is deleted there."""

from __future__ import annotations

import pytest
from tests.controlling import TOKENS, ControlProcess

from .conftest import AGENT

GRADE = "def score(turn): return float(turn.answer)"
FAILS = "async def agent(messages, ctx):\n    yield 'so far'\n    raise ValueError('no card')"


@pytest.fixture
def control(tmp_path):
    control = ControlProcess(tmp_path)
    yield control
    control.close()


def failed(control: ControlProcess) -> dict[str, list]:
    """Each conversation that control lists, and what it has of its turns' texts."""
    found = control.ask("read", "GET", "/v1/conversations").json()
    return {one["conversation"]: [turn["text"] for turn in one["turns"]] for one in found}


def texts(control: ControlProcess) -> int:
    return sum(text is not None for turns in failed(control).values() for text in turns)


def beside(control, scored, agent=AGENT):
    env = {"SHIPWAY_CONTROL_URL": control.url, "SHIPWAY_CONTROL_TOKEN": TOKENS["report"]}
    return scored(GRADE, agent, env=env)


def test_poor_turns_are_read_and_good_ones_are_not(control, scored):
    running = beside(control, scored)
    for grade, name in (("1", "good"), ("0.2", "poor"), ("0.1", "private")):
        running.ask(grade, conversation=name, store=name != "private")
    running.wait_for(lambda: texts(control) == 1, "a text")
    (text,) = failed(control)["poor"]
    assert (text["answer"], text["score"]) == ("0.2", 0.2)
    assert text["messages"] == [{"role": "user", "content": "0.2"}]
    assert list(failed(control)) == ["poor"]


def test_what_is_deleted_at_the_agent_is_forgotten_by_control(control, scored):
    running = beside(control, scored, FAILS)
    for name in ("gone", "stays"):
        assert running.ask("pay", conversation=name).status_code == 500
    running.wait_for(lambda: texts(control) == 2, "two texts")
    assert running.api.delete("/v1/conversations/gone").status_code == 200
    running.wait_for(lambda: texts(control) == 1, "one text")
    found = failed(control)
    assert found["gone"] == [None]
    assert found["stays"][0]["error"] == "ValueError: no card"


def test_what_control_forgets_by_itself_stays_at_the_agent(control, scored):
    running = beside(control, scored, FAILS)
    running.ask("pay", conversation="c")
    running.wait_for(lambda: texts(control) == 1, "a text")
    params = {"name": "test", "environment": "development"}
    answer = control.ask("report", "DELETE", "/v1/conversations/c", params=params)
    assert answer.status_code == 403
    assert control.ask("operate", "DELETE", "/v1/conversations/c", params=params).status_code == 204
    assert texts(control) == 0
    assert running.api.get("/v1/conversations/c").status_code == 200
