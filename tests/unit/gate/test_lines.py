"""Lines that shipway did not write: what they must have, and what is said of those that have not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.gate import Conversations
from shipway.gate.lines import NEEDED, Bad, read
from shipway_runtime import contract
from shipway_runtime.contract import Outcome


def one(line: dict[str, Any] | str, *metrics: str) -> Outcome | Bad:
    (found,) = read([line if isinstance(line, str) else json.dumps(line)], metrics)
    return found


def good(line: dict[str, Any], *metrics: str) -> Outcome:
    found = one(line, *metrics)
    assert isinstance(found, Outcome), found
    return found


LEAST = {"conversation": "a", "revision": "r1"}


def test_little_is_enough() -> None:
    found = good(LEAST)
    assert (found.conversation, found.revision, found.tenant, found.score, found.cost) == (
        "a",
        "r1",
        None,
        None,
        None,
    )


def test_what_the_runtime_writes_is_read_as_it_is() -> None:
    turn = Outcome(
        "c", 2, "r1", "t", 1.0, 5.0, 7.5, "error", 2.5, cost=0.25, tool_calls=3, tool_errors=1, score=0.5
    )
    found = good(json.loads(contract.encode(turn)), *NEEDED)
    assert found == turn


def test_times_may_be_told_by_two_of_three() -> None:
    assert good(LEAST | {"started": 10, "latency_s": 2.5}).finished == 12.5
    assert good(LEAST | {"finished": 10, "latency_s": 2.5}).started == 7.5
    assert good(LEAST | {"started": 10, "finished": 12}).latency_s == 2.0


def test_without_times_the_order_of_lines_counts() -> None:
    first, second = read([json.dumps(LEAST)] * 2, [])
    assert isinstance(first, Outcome)
    assert isinstance(second, Outcome)
    assert first.started < second.started
    assert first.identity != second.identity


def test_a_conversation_begins_with_its_first_turn() -> None:
    """Where lines do not say when it began."""
    conversations = Conversations()
    for at in (30, 10, 20):
        conversations.add(good(LEAST | {"started": at, "turn": at}))
    (closed,) = conversations.close_all()
    assert (closed.start, [turn.turn for turn in closed.turns]) == (10.0, [10, 20, 30])


@pytest.mark.parametrize(
    ("line", "metrics", "message"),
    [
        ("hello", (), "expected a JSON object, saw 'hello'"),
        ("[1]", (), "expected a JSON object, saw '[1]'"),
        ({"revision": "r1"}, (), "`conversation` is missing"),
        ({"conversation": "a"}, (), "`revision` is missing"),
        (LEAST, ("errors",), "`status` is missing"),
        (LEAST | {"status": "ok"}, ("errors", "latency"), "`latency_s` is missing"),
        (LEAST, ("tools",), "`tool_calls` is missing"),
        (
            LEAST | {"status": "failed"},
            (),
            '`status` is "failed", expected one of ok, error, denied, cancelled',
        ),
        (LEAST | {"score": 7}, (), "`score` is 7, expected 0 to 1"),
        (LEAST | {"cost": "1"}, (), '`cost` is "1", expected a number'),
        (LEAST | {"latency_s": -1}, (), "`latency_s` is -1, expected 0 or more"),
        (LEAST | {"latency_s": True}, (), "`latency_s` is true, expected a number"),
        (LEAST | {"started": 9, "finished": 8}, (), "`finished` is 8, before `started`, 9"),
        (LEAST | {"conversation": ["a"]}, (), '`conversation` is ["a"], expected a text'),
        ('{"conversation": "a", "revision": "r1", "cost": NaN}', (), "`cost` is NaN, expected 0 or more"),
        ('{"conversation": "a", "revision": "r1", "cost": 1' + "0" * 400 + "}", (), "expected 0 or more"),
    ],
)
def test_a_bad_line_says_what_it_lacks(line: Any, metrics: tuple[str, ...], message: str) -> None:
    found = one(line, *metrics)
    assert isinstance(found, Bad)
    assert found.line == 1
    assert message in found.message


@given(
    st.lists(
        st.text()
        | st.dictionaries(
            st.sampled_from([*LEAST, "status", "cost", "turn", "started"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            max_size=6,
        ).map(json.dumps)
    )
)
def test_every_line_is_an_outcome_or_told(lines: list[str]) -> None:
    filled = [line for line in lines if line.strip()]
    assert len(list(read(lines, ["errors"]))) == len(filled)
