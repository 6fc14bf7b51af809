"""`shipway init` in projects as people have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
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


FRAMEWORKS = {
    "pydantic-ai": "from pydantic_ai import Agent\nagent = Agent('openai:gpt-5')\n",
    "openai-agents": "from agents import Agent\nagent = Agent('desk', model='gpt-5')\n",
    "langgraph": (
        "from langgraph.graph import StateGraph\nfrom langchain_openai import ChatOpenAI\n"
        "model = ChatOpenAI(model='gpt-5')\ngraph = StateGraph(dict).compile()\n"
    ),
    "langgraph, by LangChain": (
        "from langchain.agents import create_agent\nagent = create_agent('openai:gpt-5', [])\n"
    ),
    "google-adk": ("from google.adk.agents import LlmAgent\nagent = LlmAgent(name='x', model='gemini-3')\n"),
    "langgraph, with a checkpointer": (
        "from langgraph.graph import StateGraph\n"
        "builder = StateGraph(dict)\ngraph = builder.compile(checkpointer=None)\n"
    ),
}


@pytest.mark.parametrize("source", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_an_agent_of_a_framework_is_the_entry_point(shipway: Run, project: Write, source: str) -> None:
    directory = project({"a.py": source})
    done = shipway("init", cwd=directory)
    assert done.returncode == 0, done.stderr
    text = (directory / "agent.toml").read_text()
    assert 'entrypoint = "a:agent"' in text or 'entrypoint = "a:graph"' in text
    if "gpt-5" in source:
        assert 'provider = "openai"\nname = "gpt-5"' in text
        assert 'OPENAI_API_KEY = "env"' in text


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
