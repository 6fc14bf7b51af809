"""Every example agent through every fault: what its caller is told, what is counted, and that it goes on.

Each example is started once, by `shipway up`, and asked for JSON and for a stream at the same time. A caller
never gets a part of an answer as if it were all of it.
"""

from __future__ import annotations

import re
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
    """What an example is asked, what it answers when nothing goes wrong, and a tool that it asks on the way.

    `patient`: its own code waits for the model as long as the SDK does, whatever agent.toml says.
    """

    question: str
    answer: str
    tool: str | None = None
    patient: bool = False
    application: bool = False


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
    "07-canary": Case("Where is order 1042?", "Your order 1042 was delivered yesterday.", "order"),
}
SOON = {"retry_after": 0.01}
WIRE = {
    "rate-limit": ("429",),
    "overloaded": ("529", "503"),
    "server-error": ("500",),
    "refused": ("401",),
    "error-event": ("failed",),
    "cut": ("broken",),
    "early-end": ("unfinished",),
    "slow-start": ("timeout",),
    "hang": ("timeout",),
}
"""What the requests to the model are counted as. A stream with broken JSON is whole, as far as streams go."""
FAILING: dict[str, dict[str, Any]] = {
    "rate-limit": SOON,
    "overloaded": SOON,
    "server-error": SOON,
    "refused": {},
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


class Running:
    """An example that runs, and who asks it."""

    def __init__(self, case: Case, stack: Stack) -> None:
        self.case, self.stack = case, stack
        self._callers = (stack.ask_application,) if case.application else (stack.ask, stack.ask_streaming)

    def ask(self) -> list[Told]:
        """What each caller is told, who ask at the same time."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda caller: caller(self.case.question), self._callers))

    def spoil(self, fault: str, keys: dict[str, Any]) -> tuple[list[Told], int]:
        """What they are told while the fault is armed, and how many requests to the model it hit."""
        kind, replay = fault.partition(" ")[0], self.stack.replay
        assert replay
        named = self.named(kind)
        client.arm(replay, {"kind": kind, **keys})
        try:
            told = self.ask()
            [armed] = client.armed(replay)
        finally:
            client.clear(replay)
        assert armed.hits > 0
        assert until(lambda: self.named(kind) - named == armed.hits)
        return told, armed.hits

    def named(self, kind: str) -> int:
        """How often the replay's log has named a fault of this kind."""
        return len(re.findall(rf", fault {kind}\b.* \(on demand\)\n", self.stack.log("replay")))

    def counted(self) -> Counted:
        ok, error = (self.stack.metric("shipway_turns_total", outcome=outcome) for outcome in ("ok", "error"))
        assert until(lambda: len(self.stack.outcomes()) == ok + error)
        return Counted(ok, error)

    def requests(self, fault: str) -> float:
        """How many requests to the model have ended as those do that such a fault hits."""
        outcomes = WIRE.get(fault.partition(" ")[0], ())
        return sum(self.stack.metric("shipway_model_requests_total", outcome=outcome) for outcome in outcomes)


@dataclass(frozen=True)
class Counted:
    """Turns in the metrics of a stack; as many outcomes are on its stdout."""

    ok: float
    error: float


def until(condition: Callable[[], bool]) -> bool:
    """Logs are read by others, and SDKs close a stream that failed a moment after they have said so."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One example after the other, each started once and put through everything."""
    [example] = [example for example in EXAMPLES if example.name == request.param]
    stack = Stack(example, tmp_path_factory.mktemp("examples") / example.name)
    try:
        stack.up()
        yield Running(CASES[example.name], stack)
    finally:
        stack.close()


def of(which: Callable[[str, Case], object]) -> pytest.MarkDecorator:
    """The examples that a test is about."""
    names = [name for name, case in CASES.items() if which(name, case)]
    return pytest.mark.parametrize("running", names, indirect=True)


has_model = of(lambda name, _: name != "01-hello")
obeys_timeout = of(lambda name, case: name != "01-hello" and not case.patient)
has_tool = of(lambda _, case: case.tool)


def check_failure(running: Running, fault: str, keys: dict[str, Any]) -> list[dict[str, Any]]:
    """Each caller is told of the failure, and so is whoever counts; the next turn is well. Its outcomes."""
    before, requests = running.counted(), running.requests(fault)
    told, hits = running.spoil(fault, keys)
    for each in told:
        assert each.code, f"told as an answer: {each.text!r}"
        assert running.case.application or "the model" in each.message
    assert not WIRE.get(fault.partition(" ")[0]) or until(lambda: running.requests(fault) - requests == hits)
    after = running.counted()
    new = running.stack.outcomes()[round(before.ok + before.error) :]
    if not running.case.application:
        assert (after.ok - before.ok, after.error - before.error) == (0, len(told))
        assert [outcome["status"] for outcome in new] == ["error"] * len(told)
        assert all(min(outcome["tokens"].values()) >= 0 for outcome in new)
    assert {each.text for each in running.ask()} == {running.case.answer}
    assert running.stack.alive()
    return new


def test_every_example_and_every_kind_is_here() -> None:
    assert [example.name for example in EXAMPLES] == list(CASES), "give the example a question"
    assert {name.partition(" ")[0] for name in (*FAILING, *LATE, *HARMLESS)} == set(KINDS)


@of(lambda name, _: name == "01-hello")
def test_what_asks_no_model_is_not_concerned(running: Running) -> None:
    if running.stack.replay:
        client.arm(running.stack.replay, {"kind": "cut"})
    assert {each.text for each in running.ask()} == {running.case.answer}


@has_model
@pytest.mark.parametrize("fault", FAILING)
def test_a_failure_is_told_and_counted(running: Running, fault: str) -> None:
    check_failure(running, fault, FAILING[fault])


@obeys_timeout
@pytest.mark.parametrize("fault", LATE)
def test_a_model_that_is_late_is_a_failure(running: Running, fault: str) -> None:
    """Within the timeout of agent.toml for each try; SDKs try three times, with pauses of a second or two."""
    started = time.monotonic()
    check_failure(running, fault, LATE[fault])
    assert time.monotonic() - started < 3 * MODEL_TIMEOUT_S + 10


@has_tool
def test_a_part_of_an_answer_is_none_when_tools_have_run(running: Running) -> None:
    outcomes = check_failure(running, "early-end", {"when_tool": running.case.tool})
    assert all(outcome["tool_calls"] > 0 for outcome in outcomes)


@of(lambda name, _: name == "06-own-app")
def test_the_command_finds_the_replay_of_the_stack(running: Running) -> None:
    stack = running.stack
    armed = stack.run(
        "replay", "fault", "server-error", "--times", "1", "--retry-after", "0.01", "--for", "60"
    )
    assert (armed.returncode, armed.stderr) == (0, "")
    assert [told.text for told in running.ask()] == [running.case.answer]  # the SDK has tried again
    rows = stack.run("replay", "fault", "--list").stdout.splitlines()
    assert rows[0].split() == ["FAULT", "FROM", "REQUESTS", "HITS", "FOR", "ONLY"]
    expected = r"  server-error retry_after=0.01  on demand  2 +1 +\d+(\.\d)? s +times=1"
    assert re.fullmatch(expected, rows[1]), rows[1]
    assert stack.run("replay", "fault", "--clear").stderr == "1 cleared\n"
    assert stack.run("replay", "fault", "--clear").stderr == "nothing was demanded\n"
    until_cleared = stack.run("replay", "fault", "hang", "--when", "no such question")
    assert until_cleared.stderr == "until: shipway replay fault --clear\n"
    assert stack.run("replay", "fault", "--clear").returncode == 0


@has_model
@pytest.mark.parametrize("fault", HARMLESS)
def test_what_an_agent_survives_is_an_answer(running: Running, fault: str) -> None:
    before = running.counted()
    told, _ = running.spoil(fault, HARMLESS[fault])
    assert [(each.text, each.code) for each in told] == [(running.case.answer, None)] * len(told)
    for usage in (each.usage for each in told if each.usage):
        assert min(usage["input_tokens"], usage["output_tokens"]) >= 0
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    after = running.counted()
    if not running.case.application:
        assert (after.ok - before.ok, after.error - before.error) == (len(told), 0)
        for outcome in running.stack.outcomes()[round(before.ok + before.error) :]:
            assert outcome["status"] == "ok"
            assert min(outcome["tokens"].values()) >= 0
