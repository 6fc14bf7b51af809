"""What `shipway init` sees in projects of different kinds, without running any of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipway.spec.detect import detect, label


def project(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "entrypoint", "kind"),
    [
        ({"agent.py": "async def agent(messages, ctx): ..."}, "agent:agent", "async function"),
        ({"bot.py": "async def reply(messages):\n    yield 'x'"}, "bot:reply", "generator"),
        ({"src/pkg/core.py": "def answer(messages): ..."}, "pkg.core:answer", "function"),
        ({"main.py": "from fastapi import FastAPI\napp = FastAPI()"}, "main:app", "ASGI"),
        ({"main.py": "import fastapi\napi: object = fastapi.FastAPI()"}, "main:api", "ASGI"),
        ({"a.py": "from pydantic_ai import Agent\nagent = Agent[int]('x')"}, "a:agent", "pydantic-ai"),
        ({"a.py": "from agents import Agent\nbot = Agent(name='x')"}, "a:bot", "openai-agents"),
        (
            {"g.py": "from langgraph.graph import StateGraph\ngraph = StateGraph(dict).compile()"},
            "g:graph",
            "langgraph",
        ),
        (
            {"g.py": "from langchain.agents import create_agent\ndesk = create_agent('openai:gpt-5', [])"},
            "g:desk",
            "langgraph",
        ),
    ],
)
def test_entry_points_of_each_kind(tmp_path: Path, files: dict[str, str], entrypoint: str, kind: str) -> None:
    best = detect(project(tmp_path, files)).candidates[0]
    assert (best.entrypoint, best.kind) == (entrypoint, kind)


def test_a_function_that_takes_messages_is_likelier_than_one_that_is_called_main(tmp_path: Path) -> None:
    files = {
        "main.py": "def main(argv=None): ...",
        "bot.py": "async def talk(messages, ctx): ...",
        "tests/test_bot.py": "async def agent(messages): ...",
    }
    found = [c.entrypoint for c in detect(project(tmp_path, files)).candidates]
    assert found == ["bot:talk", "main:main"]


def test_provider_and_model(tmp_path: Path) -> None:
    files = {"a.py": "import anthropic\nMODEL = 'claude-opus-5'\nasync def agent(messages): ..."}
    found = detect(project(tmp_path, files))
    assert (found.provider, found.model) == ("anthropic", "claude-opus-5")


@pytest.mark.parametrize(
    ("source", "provider", "model"),
    [
        ("from pydantic_ai import Agent\nagent = Agent('openai-responses:gpt-5')", "openai", "gpt-5"),
        (
            "from pydantic_ai import Agent\nagent = Agent('google-gla:gemini-2.5-pro')",
            "gemini",
            "gemini-2.5-pro",
        ),
        ("import openai\nMODEL = 'anthropic:claude-opus-5'", "anthropic", "claude-opus-5"),
        ("from google.adk.agents import Agent\nx = Agent(model='gemini-3')", "gemini", "gemini-3"),
        ("from agents import Agent\nagent = Agent('desk', model='gpt-5')", "openai", "gpt-5"),
        ("from langchain_openai import ChatOpenAI\nx = ChatOpenAI(model='gpt-5')", "openai", "gpt-5"),
        ("from pydantic_ai import Agent\nURL = 'openai: see there'", None, None),
    ],
)
def test_provider_and_model_as_frameworks_write_them(
    tmp_path: Path, source: str, provider: str | None, model: str | None
) -> None:
    found = detect(project(tmp_path, {"a.py": source}))
    assert (found.provider, found.model) == (provider, model)


def test_servers_of_mcp_json_and_those_that_cannot_be_said_yet(tmp_path: Path) -> None:
    servers = {
        "Time": {"command": "uvx", "args": ["mcp-server-time@2026.1", "--local-timezone", "UTC"]},
        "crm": {"url": "https://crm.example.com/mcp"},
        "files": {"command": "npx", "args": ["-y", "server-filesystem", "/data"]},
        "own": {"command": "docker", "args": ["run", "own"]},
    }
    found = detect(project(tmp_path, {".mcp.json": json.dumps({"mcpServers": servers})}))
    assert [(s.name, s.run, s.url) for s in found.servers] == [
        ("time", "pypi:mcp-server-time==2026.1", None),
        ("crm", None, "https://crm.example.com/mcp"),
        ("files", "npm:server-filesystem", None),
    ]
    assert found.servers[0].args == ("--local-timezone", "UTC")
    assert found.servers[2].args == ("/data",)
    assert found.skipped == ("own in .mcp.json (docker)",)


@pytest.mark.parametrize("text", ["{", "[]", '{"mcpServers": {"a": 1}}', '{"mcpServers": []}'])
def test_a_broken_mcp_json_is_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    assert detect(project(tmp_path, {".mcp.json": text})).servers == ()


def test_a_module_that_does_not_parse_is_passed_over(tmp_path: Path) -> None:
    files = {"broken.py": "def (", "ok.py": "async def agent(messages): ..."}
    assert detect(project(tmp_path, files)).candidates[0].entrypoint == "ok:agent"


def test_the_name_comes_from_pyproject_else_from_the_directory(tmp_path: Path) -> None:
    assert detect(project(tmp_path / "My Agent", {"a.py": ""})).name == "my-agent"
    named = project(tmp_path / "x", {"pyproject.toml": '[project]\nname = "Support_Bot"\nversion = "1"\n'})
    assert detect(named).name == "support-bot"


@pytest.mark.parametrize(("name", "expected"), [("A_b c!", "a-b-c"), ("42", "agent-42"), ("é", "agent")])
def test_label(name: str, expected: str) -> None:
    assert label(name) == expected
