"""Streams that end early, read by the SDKs and frameworks of others, each with the HTTP client it brings."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.installing import from_pypi
from tests.model_streams import TEXT, WORDS, ModelServer

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

def leave_anthropic():
    with anthropic.Anthropic(max_retries=0) as client, client.messages.stream(**ASK) as stream:
        return next(iter(stream.text_stream))

async def leave_openai():
    async with openai.AsyncOpenAI(max_retries=0) as client:
        async for event in await client.responses.create(model="m", input="hi", stream=True):
            if event.type == "response.output_text.delta":
                return event.delta

def leave_google():
    with genai.Client() as client:
        return next(iter(client.models.generate_content_stream(model="m", contents="hi"))).text

async def leave_google_async():
    async with genai.Client().aio as client:
        async for chunk in await client.models.generate_content_stream(model="m", contents="hi"):
            return chunk.text

async def cancel_anthropic():
    async def read():
        async with anthropic.AsyncAnthropic(max_retries=0) as client, client.messages.stream(**ASK) as stream:
            async for text in stream.text_stream:
                begun.set_result(text)
                await asyncio.sleep(60)
    begun = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(read())
    text = await begun
    reading.cancel()
    await asyncio.wait([reading])
    return text if reading.cancelled() else repr(reading.exception())

def those(*names):
    found = [value for name, value in globals().items() if name.startswith(names) and callable(value)]
    return [value for value in found if getattr(value, "__module__", "") == "__main__"]

LEAVING = those("leave_", "cancel_")
READING = those("anthropic_", "openai_", "google_", "pydantic_ai_", "langchain_")

async def main():
    while line := await asyncio.to_thread(sys.stdin.readline):
        found = {}
        watch.requests.clear()
        for ask in LEAVING if line.strip() == "leave" else READING:
            try:
                answer = await ask() if asyncio.iscoroutinefunction(ask) else await asyncio.to_thread(ask)
            except Exception as error:
                fault = find_fault(error, "nowhere")
                answer = fault.reason if fault else repr(error)
            found[ask.__name__] = answer
        counts = {outcome: count for (_, outcome), count in watch.requests.items()}
        print(json.dumps([found, counts]), flush=True)

asyncio.run(main())
"""


class Readers:
    """A process in which every SDK is loaded, beside a server of streams."""

    def __init__(self, python: Path) -> None:
        self.server = ModelServer()
        url = self.server.url
        env = {"PATH": os.environ["PATH"], "NO_PROXY": "*", "GOOGLE_GEMINI_BASE_URL": url}
        env |= {"ANTHROPIC_BASE_URL": url, "OPENAI_BASE_URL": f"{url}/v1"}
        env |= dict.fromkeys(("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"), "none")
        self.errors = python.with_name("errors")
        with self.errors.open("w") as errors:
            self._process = subprocess.Popen(
                [python, "-c", SCRIPT, RUNTIME],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=env,
            )

    def ask(self, how: str, end: int | None) -> tuple[dict[str, str], dict[str, int]]:
        """What each reader made of streams that end after so many events, and what was counted."""
        self.server.end = end
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{how}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self.errors.read_text()[-3000:]
        found, counts = json.loads(line)
        return found, counts

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self.server.close()


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    readers = Readers(from_pypi(tmp_path_factory.mktemp("sdks") / "venv", *PACKAGES) / "python")
    yield readers
    readers.close()


def test_a_whole_stream_is_an_answer(readers: Readers) -> None:
    found, counts = readers.ask("read", None)
    assert found == dict.fromkeys(found, TEXT)
    assert len(found) == 13
    assert counts == {"ok": 13}


def test_one_that_ends_early_is_none(readers: Readers) -> None:
    found, counts = readers.ask("read", 3)
    short = {"anthropic": "message_stop", "openai": "response.completed", "google": "finishReason"}
    expected = {
        name: next(f"ended a stream without {end}" for api, end in short.items() if api in name)
        for name in found
    }
    chat = dict.fromkeys(("openai_chat", "langchain_openai"), "ended a stream without [DONE]")
    assert found == expected | chat
    assert counts == {"unfinished": 13}


@pytest.mark.parametrize("end", [4, None])
def test_who_stops_reading_is_told_nothing(readers: Readers, end: int | None) -> None:
    found, counts = readers.ask("leave", end)
    assert found == dict.fromkeys(found, WORDS[0])
    assert len(found) == 5
    assert "unfinished" not in counts
    assert "broken" not in counts
    assert "never retrieved" not in readers.errors.read_text()
    assert "Traceback" not in readers.errors.read_text()
