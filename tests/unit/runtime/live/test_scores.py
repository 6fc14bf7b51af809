"""Real turns of whole runtimes, scored by functions of every kind."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from .conftest import outcomes, scores

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
