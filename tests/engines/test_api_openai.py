"""The runtime's API by OpenAI's SDK and openai-agents, unchanged, in an environment of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.installing import from_pypi
from tests.unit.runtime.conftest import Running, write_agent

from shipway_runtime.keys import line

pytestmark = pytest.mark.network

CLIENT = Path(__file__).with_name("api_client.py")
SDK = ("openai==3.57.0", "openai-agents==0.24.0")

AGENT = """
import asyncio
from shipway_runtime.dialogue import ToolCall, ToolResult, Usage

async def agent(messages, ctx):
    said = messages[-1]["content"]
    if said == "messages":
        yield repr([m["content"] for m in messages])
    elif said == "fail":
        raise RuntimeError
    elif said == "late":
        yield "half"
        raise RuntimeError
    elif said == "slow":
        yield "first"
        await asyncio.sleep(60)
    elif said == "tools":
        yield "Looking "
        yield "it up."
        yield ToolCall("1", "now", '{"city":"Oslo"}', "time")
        yield ToolCall("2", "add", "{}")
        yield ToolResult("2", "no such thing", error=True)
        yield ToolResult("1", "noon")
        yield Usage(10, 5, cached=3, reasoning=2)
        yield "Noon."
    else:
        yield said
"""

TOOLS = [["message", "mcp_call", "mcp_call", "message"], "Looking it up.Noon."]


KEYED = """
import sys
from openai import AuthenticationError, OpenAI

base, key = sys.argv[1:]
print(OpenAI(base_url=base, api_key=key).responses.create(model="m", input="who").output_text)
try:
    OpenAI(base_url=base, api_key="wrong").responses.create(model="m", input="who")
except AuthenticationError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with OpenAI's packages."""
    return from_pypi(tmp_path_factory.mktemp("sdk"), *SDK) / "python"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Iterator[dict[str, Any]]:
    """What the client saw."""
    place = tmp_path_factory.mktemp("agent")
    write_agent(place, AGENT, {})
    running = Running(place, {})
    try:
        running.wait_ready()
        base = f"http://127.0.0.1:{running.ports['API']}"
        done = subprocess.run(
            [python, CLIENT, base], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr + running.log()
        yield json.loads(done.stdout) | {"outcomes": [outcome["status"] for outcome in running.outcomes()]}
    finally:
        running.close()


def test_answers_and_events_are_of_the_sdks_own_types(seen: dict[str, Any]) -> None:
    assert seen["whole"] == seen["streamed"] == TOOLS
    assert seen["deltas"] == ["Looking ", "it up.", "Noon."]
    assert [name.removeprefix("response.") for name in seen["events"]] == [
        "completed",
        "content_part.added",
        "content_part.done",
        "created",
        "failed",
        "in_progress",
        "mcp_call.completed",
        "mcp_call.failed",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "output_item.added",
        "output_item.done",
        "output_text.delta",
        "output_text.done",
    ]
    assert seen["usage"]["total_tokens"] == 15
    assert seen["usage"]["input_tokens_details"]["cached_tokens"] == 3
    assert seen["usage"]["output_tokens_details"]["reasoning_tokens"] == 2


def test_a_client_goes_on_by_any_of_the_ways(seen: dict[str, Any]) -> None:
    assert seen["echoed"] == "['a', 'Looking it up.', 'Noon.', 'messages']"
    assert seen["named"] == "['Looking it up.', 'Noon.', 'messages']"
    assert seen["previous"] == "['tools', 'Looking it up.Noon.', 'messages']"


def test_responses_by_their_id(seen: dict[str, Any]) -> None:
    assert seen["retrieved"] == [True, True, True]
    assert seen["inputs"] == ["tools"]
    assert seen["deleted"] == ["NotFoundError", 404, "response_not_found", "response_id"]
    assert [seen["running"], seen["cancel"], seen["last"], seen["cancelled"]] == [
        *("in_progress", "cancelled", "response.failed", "cancelled")
    ]


def test_the_sdk_raises_what_fits(seen: dict[str, Any]) -> None:
    assert seen["errors"] == [
        ["InternalServerError", 500, "server_error", None],
        ["BadRequestError", 400, "unsupported_parameter", "tools"],
        ["NotFoundError", 404, "previous_response_not_found", "previous_response_id"],
        ["BadRequestError", 400, "unsupported_content", "input[0].content[0]"],
        ["NotFoundError", 404, "model_not_found", "model"],
    ]
    assert seen["outcomes"].count("error") == 2, "an agent that failed once is not asked again by itself"


def test_conversations(seen: dict[str, Any]) -> None:
    assert seen["items"] == ["message", "message", *TOOLS[0], "message"]
    assert seen["both ways"]
    assert seen["part of a response"] == ["BadRequestError", 400, "item_of_response", "item_id"]
    assert seen["in it"] == "['one', 'tools', 'Looking it up.Noon.', 'messages']"
    assert seen["updated"] == {"c": "d"}
    assert seen["conversation deleted"] == ["NotFoundError", 404, "conversation_not_found", "conversation_id"]


def test_openai_agents(seen: dict[str, Any]) -> None:
    kinds = ["MessageOutputItem", "ToolCallItem", "ToolCallItem", "MessageOutputItem"]
    assert seen["run"] == [kinds, "Noon."]
    assert seen["run streamed"] == "Noon."
    assert seen["history"] == "['be brief', 'tools', 'Looking it up.', 'Noon.', 'messages']"
    assert seen["chained"] == "['be brief', 'tools', 'Looking it up.Noon.', 'messages']"
    assert seen["session"] == seen["history"]
    assert seen["popped"] == ["assistant", 4, 2]


def test_its_api_key_is_a_key_of_the_agent(python: Path, tmp_path: Path) -> None:
    settings = {"secrets": {"API_KEYS": {"source": "env"}}, "api": {"auth": "keys", "keys": "API_KEYS"}}
    write_agent(tmp_path, "async def agent(messages, ctx): return ctx.tenant", {"settings": settings})
    running = Running(tmp_path, {"API_KEYS": line("acme", "the-key-of-acme")})
    try:
        running.wait_ready()
        base = f"http://127.0.0.1:{running.ports['API']}/v1"
        said = subprocess.check_output([python, "-c", KEYED, base, "the-key-of-acme"], text=True)
        assert said.split() == ["acme", "invalid_api_key"]
    finally:
        running.close()
