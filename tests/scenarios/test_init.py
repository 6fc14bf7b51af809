"""`shipway init` in projects as people have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.scenarios.conftest import Run

Write = Callable[[Mapping[str, str]], Path]
ANTHROPIC = (
    "from anthropic import AsyncAnthropic\nMODEL = 'claude-sonnet-5'\n"
    "async def reply(messages, ctx):\n    yield 'x'\n"
)


def test_an_anthropic_project_gets_model_secret_and_script(shipway: Run, project: Write) -> None:
    directory = project({"bot.py": ANTHROPIC, "requirements.txt": "anthropic\n"})
    done = shipway("init", cwd=directory)
    assert done.returncode == 0, done.stderr
    assert "bot:reply (generator, bot.py:3)" in done.stderr
    assert "dependencies  requirements.txt" in done.stderr
    text = (directory / "agent.toml").read_text()
    assert 'entrypoint = "bot:reply"' in text
    assert 'provider = "anthropic"' in text
    assert 'ANTHROPIC_API_KEY = "env"' in text
    assert (directory / "replays/scripted.toml").exists()
    assert shipway("plan", "stack", cwd=directory).returncode == 0
    assert shipway("plan", "image", cwd=directory).returncode == 0


def test_a_second_time_nothing_is_overwritten(shipway: Run, project: Write) -> None:
    directory = project({"bot.py": ANTHROPIC, "agent.toml": "mine\n"})
    done = shipway("init", cwd=directory)
    assert done.returncode == 2
    assert "agent.toml is there already" in done.stderr
    assert (directory / "agent.toml").read_text() == "mine\n"


def test_a_framework_that_cannot_run_yet_is_refused_with_a_way_out(shipway: Run, project: Write) -> None:
    directory = project({"a.py": "from pydantic_ai import Agent\nagent = Agent('x')\n"})
    done = shipway("init", cwd=directory)
    assert done.returncode == 2
    assert "a:agent is a pydantic-ai agent" in done.stderr
    assert "async def agent(messages, ctx)" in done.stderr
    assert not (directory / "agent.toml").exists()


def test_no_agent_says_what_was_looked_for(shipway: Run, project: Write) -> None:
    done = shipway("init", cwd=project({"notes.py": "x = 1\n"}))
    assert done.returncode == 2
    assert "no agent found" in done.stderr
    assert "--entrypoint" in done.stderr


def test_an_entry_point_that_is_not_there_leaves_no_file(shipway: Run, project: Write) -> None:
    directory = project({"bot.py": ANTHROPIC})
    done = shipway("init", "--entrypoint", "bot:nobody", cwd=directory)
    assert done.returncode == 2
    assert "nobody" in done.stderr
    assert not (directory / "agent.toml").exists()
