"""A newcomer's first minute: a project that calls a model, no agent.toml, no key, no recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.scenarios.conftest import Run

BOT = """
from anthropic import AsyncAnthropic

client = AsyncAnthropic()
MODEL = "claude-sonnet-5"


async def reply(messages):
    answer = await client.messages.create(model=MODEL, max_tokens=100, messages=messages)
    return answer.content[0].text
"""


@pytest.mark.network
def test_init_up_ask_work_at_once(
    shipway: Run,
    project: Callable[[Mapping[str, str]], Path],
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    directory = project({"bot.py": BOT, "requirements.txt": "anthropic==2.12.0\n"})
    assert shipway("init", cwd=directory).returncode == 0
    port = free_port()
    up = shipway("up", "-d", "--engine", "processes", "--port", str(port), cwd=directory)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        hello = shipway("ask", "hello", cwd=directory)
        assert hello.returncode == 0, hello.stderr
        assert "nobody paid for this answer" in hello.stdout
        other = shipway("ask", "what can you do?", cwd=directory)
        assert "scripted reply" in other.stdout
    finally:
        assert shipway("down", cwd=directory).returncode == 0
