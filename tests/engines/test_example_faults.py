"""Every example agent through every fault: what its caller is told, what is counted, and that it goes on.

Each example is started once, by `shipway up`, and asked for JSON and for a stream at the same time. A caller
never gets a part of an answer as if it were all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.engines.example_stacks import MODEL_TIMEOUT_S, Stack, Told

from shipway.replay.faults import client
from shipway.replay.faults.kinds import KINDS

pytestmark = pytest.mark.network

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/[0-9]*"))


@dataclass(frozen=True)
class Case:
    """What an example is asked and answers when nothing goes wrong, and the tool that it asks on the way.

    `patient`: its own code waits for the model as long as the SDK does, whatever agent.toml says.
    """

    question: str
    answer: str
    tool: str | None = None
    patient: bool = False
    application: bool = False

    def callers(self, stack: Stack) -> tuple[Callable[[str], Told], ...]:
        return (stack.ask_application,) if self.application else (stack.ask, stack.ask_streaming)


CASES = {
    "01-hello": Case("hi", "Hello! You said: hi (turn 1, 1 messages so far)"),
    "02-support": Case("hello", "Hello! What can I look up for you about Larkspur?"),
    "03-pydantic-ai": Case(
        "Which room is free on Monday?",
        "Let me see which rooms there are.\n\nFjord is free on Monday.",
        "rooms",
    ),
    "04-langgraph": Case(
        "Please refund order 1001",
        "I am looking at order 1001.\n\nDone: 39 EUR are on their way back to you.",
        "refund",
        patient=True,
    ),
    "05-openai-agents": Case(
        "How much is a double room?",
        "Let me look that up.\n\nA double room is 129 EUR for a night.",
        "price",
    ),
    "06-own-app": Case(
        "What is the capital of France?", "Paris is the capital of France.", patient=True, application=True
    ),
}
WITH_MODEL = [name for name in CASES if name != "01-hello"]
SOON = {"retry_after": 0.01}
FAILING: dict[str, dict[str, Any]] = {
    "rate-limit": SOON,
    "overloaded": SOON,
    "server-error": SOON,
    "error-event": {},
    "error-event at once": {"at": 0.0},
    "cut": {},
    "cut at once": {"at": 0.0},
    "early-end": {},
    "early-end at once": {"at": 0.0},
    "malformed-json": {},
}
LATE: dict[str, dict[str, Any]] = {"slow-start": {"seconds": 4.0}, "hang": {"at": 0.5}}
HARMLESS: dict[str, dict[str, Any]] = {
    "rate-limit once": {**SOON, "times": 1},
    "slow-start": {"seconds": 0.3},
    "slow-stream": {"seconds": 0.02},
    "wrong-usage": {},
    "wrong-usage huge": {"usage": "huge"},
    "wrong-usage negative": {"usage": "negative"},
}


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stack]]:
    """All examples at once: most of a start is waiting."""
    place = tmp_path_factory.mktemp("examples")
    made = {example.name: Stack(example, place / example.name) for example in EXAMPLES}
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(Stack.up, made.values()))
        yield made
    finally:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(Stack.close, made.values()))


@dataclass(frozen=True)
class Counted:
    """What a stack has counted so far."""

    outcomes: int
    ok: float
    error: float

    @classmethod
    def of(cls, stack: Stack) -> Counted:
        turns = (stack.metric("shipway_turns_total", outcome=outcome) for outcome in ("ok", "error"))
        return cls(len(stack.outcomes()), *turns)


def run(stack: Stack, case: Case, fault: str, keys: dict[str, Any]) -> list[Told]:
    """What each caller is told while the fault is armed, and that the replay names it."""
    kind = fault.partition(" ")[0]
    before = stack.log("replay").count(f"fault {kind} (on demand)")
    assert stack.replay
    client.arm(stack.replay, {"kind": kind, **keys})
    try:
        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(lambda caller: caller(case.question), case.callers(stack)))
        [armed] = client.armed(stack.replay)
    finally:
        client.clear(stack.replay)
    assert armed.hits > 0
    assert stack.log("replay").count(f"fault {kind} (on demand)") - before == armed.hits
    return told


def check_failed(stack: Stack, case: Case, told: list[Told], before: Counted) -> None:
    """Each caller was told so, and so was whoever counts."""
    for each in told:
        assert each.code, f"told as an answer: {each.text!r}"
        assert each.text != case.answer
    if not case.application:
        after = Counted.of(stack)
        assert (after.ok - before.ok, after.error - before.error) == (0, len(told))
        new = stack.outcomes()[before.outcomes :]
        assert [outcome["status"] for outcome in new] == ["error"] * len(told)
        assert all(min(outcome["tokens"].values()) >= 0 for outcome in new)


def check_answers(stack: Stack, case: Case) -> None:
    """Nothing is left of the fault."""
    assert case.callers(stack)[0](case.question).text == case.answer
    running = {name: pid for name, pid in stack.pids.items() if not Path(f"/proc/{pid}").exists()}
    assert not running, f"gone: {running}"


def test_every_example_and_every_kind_is_here() -> None:
    assert [example.name for example in EXAMPLES] == list(CASES), "give the example a question"
    assert {name.partition(" ")[0] for name in (*FAILING, *LATE, *HARMLESS)} == set(KINDS)


def test_what_asks_no_model_is_not_concerned(stacks: dict[str, Stack]) -> None:
    stack, case = stacks["01-hello"], CASES["01-hello"]
    if stack.replay:
        client.arm(stack.replay, {"kind": "cut"})
    assert {caller(case.question).text for caller in case.callers(stack)} == {case.answer}


@pytest.mark.parametrize("example", WITH_MODEL)
@pytest.mark.parametrize("fault", FAILING)
def test_a_failure_is_told_and_counted(example: str, fault: str, stacks: dict[str, Stack]) -> None:
    stack, case = stacks[example], CASES[example]
    before = Counted.of(stack)
    told = run(stack, case, fault, FAILING[fault])
    check_failed(stack, case, told, before)
    check_answers(stack, case)


@pytest.mark.parametrize("example", WITH_MODEL)
@pytest.mark.parametrize("fault", LATE)
def test_a_model_that_is_late_is_a_failure(example: str, fault: str, stacks: dict[str, Stack]) -> None:
    """Within the timeout of agent.toml for each try, and SDKs try three times, with pauses."""
    stack, case = stacks[example], CASES[example]
    if case.patient:
        pytest.skip("its own code sets no timeout")
    before, started = Counted.of(stack), time.monotonic()
    told = run(stack, case, fault, LATE[fault])
    assert time.monotonic() - started < 3 * MODEL_TIMEOUT_S + 5
    check_failed(stack, case, told, before)
    check_answers(stack, case)


@pytest.mark.parametrize("example", WITH_MODEL)
def test_a_tool_that_has_run_does_not_make_a_part_the_answer(example: str, stacks: dict[str, Stack]) -> None:
    stack, case = stacks[example], CASES[example]
    if case.tool is None:
        pytest.skip("its question needs no tool")
    before = Counted.of(stack)
    told = run(stack, case, "early-end", {"when_tool": case.tool})
    check_failed(stack, case, told, before)
    assert all(outcome["tool_calls"] > 0 for outcome in stack.outcomes()[before.outcomes :])
    check_answers(stack, case)


@pytest.mark.parametrize("example", WITH_MODEL)
@pytest.mark.parametrize("fault", HARMLESS)
def test_what_an_agent_survives_is_an_answer(example: str, fault: str, stacks: dict[str, Stack]) -> None:
    stack, case = stacks[example], CASES[example]
    before = Counted.of(stack)
    told = run(stack, case, fault, HARMLESS[fault])
    assert [(each.text, each.code) for each in told] == [(case.answer, None)] * len(told)
    if not case.application:
        after = Counted.of(stack)
        assert (after.ok - before.ok, after.error - before.error) == (len(told), 0)
        for outcome in stack.outcomes()[before.outcomes :]:
            assert outcome["status"] == "ok"
            assert min(outcome["tokens"].values()) >= 0
    for usage in (each.usage for each in told if each.usage):
        assert usage["input_tokens"] >= 0
        assert usage["output_tokens"] >= 0
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
