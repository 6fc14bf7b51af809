"""Streams that end early, read by the SDKs and frameworks of others, each with the HTTP client it brings."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.installing import from_pypi
from tests.model_streams import TEXT, ModelServer

pytestmark = pytest.mark.network

PACKAGES = (
    "anthropic",
    "openai",
    "google-genai",
    "aiohttp",  # google-genai's other client
    "pydantic-ai-slim[anthropic,openai,google]",
    "langchain-openai",
    "langchain-anthropic",
    "openai-agents",
)
RUNTIME = Path(__file__).parents[2] / "runtime/src"

SCRIPT = """
import asyncio, json, os, sys
sys.path.append(sys.argv[1])
from shipway_runtime.health.faults import find_fault
from shipway_runtime.model import clients
from shipway_runtime.model.watching import Watch

watch = Watch(None, os.environ, None)
clients.install(watch)

import anthropic, openai
from agents import Agent as OpenAIAgent, Runner, set_tracing_disabled
from google import genai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from pydantic_ai import Agent

set_tracing_disabled(True)
MESSAGES = [{"role": "user", "content": "hi"}]
ASK = {"model": "m", "max_tokens": 9, "messages": MESSAGES}

def anthropic_sync():
    with anthropic.Anthropic(max_retries=0) as client, client.messages.stream(**ASK) as stream:
        return stream.get_final_text()

async def anthropic_async():
    async with anthropic.AsyncAnthropic(max_retries=0) as client, client.messages.stream(**ASK) as stream:
        return await stream.get_final_text()

def openai_responses():
    with openai.OpenAI(max_retries=0) as client:
        events = client.responses.create(model="m", input="hi", stream=True)
        return "".join(event.delta for event in events if event.type == "response.output_text.delta")

async def openai_responses_async():
    async with openai.AsyncOpenAI(max_retries=0) as client:
        events = await client.responses.create(model="m", input="hi", stream=True)
        return "".join([event.delta async for event in events if event.type == "response.output_text.delta"])

def openai_chat():
    with openai.OpenAI(max_retries=0) as client:
        chunks = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

def google_sync():
    with genai.Client() as client:
        chunks = client.models.generate_content_stream(model="m", contents="hi")
        return "".join(chunk.text or "" for chunk in chunks)

async def google_async():
    async with genai.Client().aio as client:
        chunks = await client.models.generate_content_stream(model="m", contents="hi")
        return "".join([chunk.text or "" async for chunk in chunks])

async def by_pydantic_ai(model):
    async with Agent(model).run_stream("hi") as result:
        return await result.get_output()

async def pydantic_ai_anthropic():
    return await by_pydantic_ai("anthropic:m")

async def pydantic_ai_openai():
    return await by_pydantic_ai("openai-responses:m")

async def pydantic_ai_google():
    return await by_pydantic_ai("google:m")

async def by_langchain(model):
    parts = [part.text async for part in model.astream("hi")]
    return "".join(part if isinstance(part, str) else part() for part in parts)

async def langchain_anthropic():
    return await by_langchain(ChatAnthropic(model="m", max_retries=0))

async def langchain_openai():
    return await by_langchain(ChatOpenAI(model="m", max_retries=0))

async def openai_agents():
    result = Runner.run_streamed(OpenAIAgent(name="x", model="m"), "hi")
    async for event in result.stream_events():
        pass
    return result.final_output

ASKING = [found for name, found in list(globals().items()) if callable(found)
          and getattr(found, "__module__", "") == "__main__" and not name.startswith("by_")]

async def main():
    found = {}
    for ask in ASKING:
        try:
            answer = await ask() if asyncio.iscoroutinefunction(ask) else await asyncio.to_thread(ask)
        except Exception as error:
            fault = find_fault(error, "nowhere")
            answer = fault.reason if fault else repr(error)
        found[ask.__name__] = answer
    print(json.dumps([found, {outcome: count for (_, outcome), count in watch.requests.items()}]))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("sdks") / "venv", *PACKAGES) / "python"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


def asked(python: Path, server: ModelServer) -> tuple[dict[str, str], dict[str, int]]:
    """What each SDK made of the server's answers, and what was counted."""
    env = {"PATH": os.environ["PATH"], "NO_PROXY": "*", "GOOGLE_GEMINI_BASE_URL": server.url}
    env |= {"ANTHROPIC_BASE_URL": server.url, "OPENAI_BASE_URL": f"{server.url}/v1"}
    env |= dict.fromkeys(("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"), "none")
    done = subprocess.run(
        [python, "-c", SCRIPT, RUNTIME], capture_output=True, text=True, timeout=240, env=env, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "never retrieved" not in done.stderr, done.stderr
    found, counts = json.loads(done.stdout.splitlines()[-1])
    return found, counts


def test_a_whole_stream_is_an_answer(python: Path, server: ModelServer) -> None:
    found, counts = asked(python, server)
    assert found == dict.fromkeys(found, TEXT)
    assert len(found) == 13
    assert counts == {"ok": 13}


def test_one_that_ends_early_is_none(python: Path, server: ModelServer) -> None:
    server.end = 3
    found, counts = asked(python, server)
    short = {"anthropic": "message_stop", "openai": "response.completed", "google": "finishReason"}
    expected = {
        name: next(f"ended a stream without {end}" for api, end in short.items() if api in name)
        for name in found
    }
    chat = dict.fromkeys(("openai_chat", "langchain_openai"), "ended a stream without [DONE]")
    assert found == expected | chat
    assert counts == {"unfinished": 13}
