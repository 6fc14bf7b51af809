"""SDKs and frameworks reach the replay with what `shipway up` sets, and with nothing else.

Each makes one real call in a process of its own. A proxy that nobody runs stands before the rest of the
world, so a call that goes to the provider fails at once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.installing import from_pypi

from shipway.plan.sdk_variables import BASE_URLS, KEYS, placeholders, replayed

pytestmark = pytest.mark.network

PACKAGES = (
    *("anthropic==2.14.0", "openai==2.54.0", "google-genai==2.34.0"),
    *("langchain-anthropic==1.7.10", "langchain-openai==1.7.4", "langchain-google-genai==4.4.3"),
    *("litellm==1.110.2", "llama-index-llms-openai==0.8.3"),
)
"""docs/reference/model-urls.md names these versions."""

CHAT = 'messages=[{"role": "user", "content": "ping"}]'
CALLS = {
    "anthropic": f"""
import anthropic
print(anthropic.Anthropic().messages.create(model="claude-sonnet-5", max_tokens=9, {CHAT}).content[0].text)
""",
    "openai, Responses": """
import openai
print(openai.OpenAI().responses.create(model="gpt-5", input="ping").output_text)
""",
    "openai, Chat Completions": f"""
import openai
print(openai.OpenAI().chat.completions.create(model="gpt-5", {CHAT}).choices[0].message.content)
""",
    "google-genai": """
from google import genai
client = genai.Client()
print(client.models.generate_content(model="gemini-3", contents="ping").text)
""",
    "google-genai, Vertex AI": """
from google import genai
client = genai.Client(vertexai=True, api_key="replayed")
print(client.models.generate_content(model="gemini-3", contents="ping").text)
""",
    "langchain-anthropic": """
from langchain_anthropic import ChatAnthropic
print(ChatAnthropic(model="claude-sonnet-5").invoke("ping").content)
""",
    "langchain-openai": """
from langchain_openai import ChatOpenAI
print(ChatOpenAI(model="gpt-5").invoke("ping").content)
""",
    "langchain-google-genai": """
from langchain_google_genai import ChatGoogleGenerativeAI
print(ChatGoogleGenerativeAI(model="gemini-3").invoke("ping").text)
""",
    "litellm": f"""
import litellm
models = ("anthropic/claude-sonnet-5", "openai/gpt-5", "gemini/gemini-3")
print(*{{litellm.completion(model=model, {CHAT}).choices[0].message.content for model in models}})
""",
    "llama-index-llms-openai": """
from llama_index.llms.openai import OpenAI
print(OpenAI(model="gpt-4o").complete("ping").text)
""",
}
ANSWER = "Reached."
DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("sdks") / "venv", *PACKAGES) / "python"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a replay that gives everybody the same answer."""
    directory = tmp_path_factory.mktemp("replays")
    (directory / "scripted.toml").write_text(f'[[reply]]\nsay = "{ANSWER}"\n')
    command = (sys.executable, "-m", "shipway.replay", str(directory), "--port", "0")
    with (
        (directory / "log").open("w+") as log,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr
        found = re.search(r":(\d+)$", process.stderr.readline())
        assert found
        with ThreadPoolExecutor(1) as pool:
            pool.submit(log.writelines, process.stderr)  # a pipe that is full would stop the replay
            yield int(found[1])
            process.terminate()


@pytest.fixture(scope="module")
def calls(
    python: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    """What each call prints; a few run at once, because most of their time is importing."""
    home = str(tmp_path_factory.mktemp("home"))
    env = {"PATH": os.environ["PATH"], "HOME": home, "HTTPS_PROXY": DEAD, "NO_PROXY": "127.0.0.1"}
    env |= replayed(port) | placeholders("anthropic", [key for keys in KEYS.values() for key in keys])

    def call(program: str) -> str:
        command = (python, "-W", "ignore", "-c", program)
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
        return done.stdout.strip() or done.stderr[-2000:]

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        yield {name: pool.submit(call, program) for name, program in CALLS.items()}


@pytest.mark.parametrize("name", CALLS)
def test_it_reaches_the_replay(name: str, calls: dict[str, Future[str]]) -> None:
    assert calls[name].result() == ANSWER


def test_the_page_names_every_variable_and_every_version_that_was_tried() -> None:
    page = Path("docs/reference/model-urls.md").read_text()
    assert [name for name in BASE_URLS if f"`{name}`" not in page] == []
    assert [key for keys in KEYS.values() for key in keys if f"`{key}`" not in page] == []
    tried = [package.replace("==", " ") for package in PACKAGES]
    assert [package for package in tried if package not in page] == []
