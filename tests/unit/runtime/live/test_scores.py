"""Real turns of whole runtimes, scored by functions of every kind."""

from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path
from textwrap import dedent

from .conftest import outcomes, results, scores

HALF = "def score(turn): return 0.5"
WRITE = """
import dataclasses, json, os, pathlib

def write(name, text):
    pathlib.Path({place!r}, name).write_text(text)
"""
SHOW = (
    WRITE
    + """
def score(turn):
    write(f"turn-{{turn.turn}}", json.dumps(dataclasses.asdict(turn)))
"""
)
HANG = (
    WRITE
    + """
import time

def score(turn):
    write("pid", str(os.getpid()))
    time.sleep(600)
"""
)
PID = (
    WRITE
    + """
write("pid", str(os.getpid()))

def score(turn):
    return 1
"""
)
KINDS = """
def score(turn):
    return {"nan": float("nan"), "seven": 7, "good": "good"}[turn.messages[0]["content"]]
"""
PRINT = """
import sys

def score(turn):
    print("{}", sys.stdin.read(), turn.answer)
    return 0 if "hunter22" in str(turn) else 1
"""
TOOLS = """
from shipway_runtime.dialogue import ToolCall, ToolResult

async def agent(messages, ctx):
    yield ToolCall("1", "look", '{"at": "sky"}', "eyes")
    yield ToolResult("1", "too bright", error=True)
    yield ToolCall("2", "wait", "{}")
    yield "blue"
"""


def test_a_turn_has_its_score(scored):
    running = scored("def score(turn): return 1 if turn.answer == 'HI' else 0")
    assert running.ask("hi").status_code == running.ask("ho", conversation="c").status_code == 200
    assert {o["conversation"] == "c": o["score"] for o in outcomes(running, 2)} == {False: 1.0, True: 0.0}


def test_one_that_is_async_is_awaited(scored):
    running = scored("import asyncio\nasync def score(turn):\n    await asyncio.sleep(0)\n    return 0.25")
    running.ask()
    assert scores(running, 1) == [0.25]


def test_an_object_of_a_factory_is_called(scored):
    source = """
        class Judge:
            async def __call__(self, turn):
                return 0.75

        def make():
            return Judge()
    """
    running = scored(dedent(source), name="make()")
    running.ask()
    assert scores(running, 1) == [0.75]


def test_what_the_function_gets(scored, tmp_path):
    running = scored(SHOW.format(place=str(tmp_path)), TOOLS, settings={"config": {"tone": "dry"}})
    running.ask("what colour?", conversation="c", instructions="be brief")
    running.ask("why?", conversation="c")
    assert scores(running, 2) == [None, None]
    first, second = (json.loads((tmp_path / f"turn-{n}").read_text()) for n in (1, 2))
    said = [{"role": "user", "content": "what colour?"}]
    look = {"name": "look", "arguments": '{"at": "sky"}', "output": "too bright", "error": True}
    wait = {"name": "wait", "arguments": "{}", "output": None, "error": False}
    assert first == {
        "conversation": "c",
        "turn": 1,
        "tenant": None,
        "messages": said,
        "answer": "blue",
        "tool_calls": [look | {"server": "eyes"}, wait | {"server": None}],
        "instructions": "be brief",
        "left_out": 0,
        "config": {"tone": "dry"},
    }
    more = [{"role": "assistant", "content": "blue"}, {"role": "user", "content": "why?"}]
    assert (second["turn"], second["messages"], second["instructions"]) == (2, said + more, None)
    running.wait_for(lambda: results(running) == {"none": 2}, "counts")


def test_what_must_not_be_stored_is_not_scored(scored):
    running = scored(HALF)
    running.ask(store=False)
    running.ask()
    assert sorted(map(str, scores(running, 2))) == ["0.5", "None"]
    assert results(running) == {"scored": 1}


def test_nothing_is_in_a_sample_of_none(scored):
    running = scored(HALF, sample=0.0)
    running.ask()
    assert scores(running, 1) == [None]
    assert results(running) == {}


def test_a_turn_that_failed_has_no_score(scored):
    running = scored(HALF, "async def agent(messages, ctx): raise ValueError('no')")
    assert running.ask().status_code == 500
    (outcome,) = outcomes(running, 1)
    assert (outcome["status"], outcome["score"]) == ("error", None)


def test_an_application_of_its_own_is_told_that_nothing_is_scored(scored):
    source = """
        async def agent(scope, receive, send):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
    """
    running = scored(HALF, dedent(source))
    assert "an ASGI application has none: nothing is scored" in running.log()
    assert "evals.live" not in running.admin.get("/readyz").json()["checks"]


# -- What can go wrong ------------------------------------------------------------------------------------


def test_a_function_that_raises_gives_no_score_and_says_so_once(scored):
    running = scored("def score(turn):\n    raise KeyError('grade')")
    for _ in range(3):
        assert running.ask().status_code == 200
    assert scores(running, 3) == [None, None, None]
    assert results(running) == {"failed": 3}
    assert running.log().count("evals.live gives no score: KeyError: 'grade'") == 1
    assert running.log().count("raise KeyError('grade')") == 1
    assert "shipway_runtime/live" not in running.log()


def test_what_is_no_score_is_none(scored):
    running = scored(KINDS)
    for kind in ("nan", "seven", "good"):
        running.ask(kind)
    assert scores(running, 3) == [None, None, None]
    assert "it returned 7; expected a number from 0 to 1, or None for no opinion" in running.log()


def test_a_module_that_cannot_be_imported_leaves_the_agent_alone(scored):
    running = scored("import no_such_judge\ndef score(turn): return 1")
    running.wait_for(lambda: "evals.live gives no score" in running.log(), "word of it")
    assert "No module named 'no_such_judge'" in running.log()
    assert "evals/live.py" in running.log()
    assert running.ask().status_code == 200
    assert scores(running, 1) == [None]
    running.wait_for(lambda: results(running) == {"failed": 1}, "counts")
    running.wait_for(lambda: running.admin.get("/readyz").json()["status"] == "degraded", "readiness")
    check = running.admin.get("/readyz").json()["checks"]["evals.live"]
    assert check["required"] is False
    assert "no_such_judge" in check["last_error"]


def test_a_name_that_is_not_there(scored):
    running = scored("def grade(turn): return 1")
    running.wait_for(lambda: 'has no "score"; it has grade' in running.log(), "word of it")


def test_a_process_that_dies_is_started_again(scored):
    running = scored("import os\ndef score(turn):\n    return os._exit(3) if turn.answer == 'DIE' else 1")
    running.ask("die")
    running.wait_for(lambda: "its process exited with code 3" in running.log(), "word of it")
    running.ask("live")
    assert scores(running, 2) == [None, 1.0]


def test_what_it_prints_and_reads_is_its_own_affair(scored):
    running = scored(PRINT)
    running.ask()
    assert scores(running, 1) == [1.0]
    running.wait_for(lambda: "[evals.live] {}  HI" in running.log(), "what it printed")


def test_secrets_stay_out_of_it(scored):
    agent = "async def agent(messages, ctx): return 'it is ' + ctx.secret('TOKEN')"
    running = scored(
        PRINT, agent, env={"TOKEN": "hunter22"}, settings={"secrets": {"TOKEN": {"source": "env"}}}
    )
    running.ask("is it hunter22?")
    assert scores(running, 1) == [1.0]
    running.wait_for(lambda: "it is [redacted]" in running.log(), "what it printed")


def test_it_has_the_agents_variables_and_not_controls(scored):
    names = "('TOKEN', 'SHIPWAY_MODEL', 'SHIPWAY_ADMIN_TOKEN', 'SHIPWAY_CONTROL_TOKEN')"
    running = scored(
        f"import os\ndef score(turn): return sum(n in os.environ for n in {names}) / 4",
        ready=False,  # there is no such model
        env={"TOKEN": "hunter22", "SHIPWAY_ADMIN_TOKEN": "a" * 20, "SHIPWAY_CONTROL_TOKEN": "c" * 20},
        settings={"secrets": {"TOKEN": {"source": "env"}}, "model": {"provider": "openai", "name": "m"}},
    )
    running.wait_for(lambda: "API on port" in running.log(), "the API")
    running.ask()
    assert scores(running, 1) == [0.5]


# -- The end ----------------------------------------------------------------------------------------------


def test_the_last_ones_are_scored_while_the_process_ends(scored):
    running = scored("import time\ndef score(turn):\n    time.sleep(0.5)\n    return 1")
    for _ in range(3):
        running.ask()
    running.terminate()
    assert running.exit_code() == 0
    assert scores(running, 3) == [1.0, 1.0, 1.0]


def test_a_function_that_hangs_holds_nobody_up(scored, tmp_path):
    running = scored(HANG.format(place=str(tmp_path)))
    assert [running.ask().status_code for _ in range(6)] == [200] * 6
    running.wait_for((tmp_path / "pid").exists, "a turn that is being scored")
    running.terminate()
    assert running.exit_code() == 0
    assert scores(running, 6) == [None] * 6
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_the_process_ends_with_a_runtime_that_is_killed(scored, tmp_path):
    running = scored(PID.format(place=str(tmp_path)))
    running.ask()
    assert scores(running, 1) == [1.0]
    pid = int((tmp_path / "pid").read_text())
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    watched = os.pidfd_open(pid)
    running.process.send_signal(signal.SIGKILL)
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    assert poll.poll(20_000)
    os.close(watched)
