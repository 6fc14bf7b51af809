"""OpenAI's and Google's own SDKs through a recorder, streams and tool loops; and again without it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.installing import from_pypi
from tests.replaying import Replay

pytestmark = pytest.mark.network

SCRIPT = """
[[reply]]
when = "time in (\\\\w+)"
say = "Looking it up: 時間."
call = { tool = "now", input = { city = "{1}" } }
[[reply]]
when_tool = "now"
when = "(.*)"
say = "It is {1} there."
"""
OPENAI = """
import json, sys
from openai import OpenAI

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="sk-proj-" + "aB3dE5fG7h" * 5)
schema = {"type": "object", "properties": {"city": {"type": "string"}}}
out = []

tools = [{"type": "function", "name": "now", "parameters": schema, "strict": False}]
asked = [{"role": "user", "content": "The time in Tokyo?"}]
with client.responses.stream(model="gpt-5", input=asked, tools=tools) as stream:
    out.append([e.delta for e in stream if e.type == "response.output_text.delta"])
    first = stream.get_final_response()
result = {"type": "function_call_output", "call_id": first.output[1].call_id, "output": "noon"}
echoed = [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in first.output]
second = client.responses.create(model="gpt-5", input=[*asked, *echoed, result], tools=tools)
out.append([second.id, second.output_text])

tools = [{"type": "function", "function": {"name": "now", "parameters": schema}}]
chunks = client.chat.completions.create(model="gpt-5", messages=asked, tools=tools, stream=True)
out.append([chunk.model_dump() for chunk in chunks])
print(json.dumps(out))
"""


GOOGLE = """
import json, sys
from google import genai
from google.genai import types

options = types.HttpOptions(base_url=sys.argv[1])
client = genai.Client(api_key="AIza" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA", http_options=options)
city = types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")})
now = types.FunctionDeclaration(name="now", description="The time", parameters=city)
manual = types.AutomaticFunctionCallingConfig(disable=True)
config = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[now])], automatic_function_calling=manual)
asked = [types.Content(role="user", parts=[types.Part(text="The time in Tokyo?")])]

def seen(chunk):
    return chunk.model_dump(mode="json", exclude_none=True, exclude={"sdk_http_response"})

model = "gemini-3-pro"
chunks = list(client.models.generate_content_stream(model=model, contents=asked, config=config))
call = next(part for chunk in chunks for part in chunk.candidates[0].content.parts if part.function_call)
result = types.Part.from_function_response(name="now", response={"result": "noon"})
asked += [types.Content(role="model", parts=[call]), types.Content(role="user", parts=[result])]
last = client.models.generate_content(model=model, contents=asked, config=config)
print(json.dumps([[seen(chunk) for chunk in chunks], seen(last)]))
"""
NAMES = ["001-the-time-in-tokyo-1.json", "001-the-time-in-tokyo-2.json", "002-the-time-in-tokyo-1.json"]


@pytest.fixture(scope="module")
def openai(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("openai"), "openai==3.54.0") / "python"


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("google"), "google-genai==3.6.1") / "python"


def ask(python: Path, client: str, url: str) -> Any:
    done = subprocess.run(
        [python, "-c", client, url], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def heard_twice(python: Path, client: str, upstream: str, directory: Path) -> tuple[Any, Any]:
    """What a client hears through a recorder, and from the recordings; another replay is the API."""
    scripted, replays = directory / "scripted", directory / "replays"
    scripted.mkdir()
    (scripted / "scripted.toml").write_text(SCRIPT)
    with Replay(scripted) as api, Replay(replays, "--record", "--upstream", upstream % api.url) as recorder:
        live = ask(python, client, recorder.url)
    with Replay(replays) as replay:
        return live, ask(python, client, replay.url)


def test_openai_hears_the_same_again(openai: Path, tmp_path: Path) -> None:
    live, played = heard_twice(openai, OPENAI, "openai=%s/v1", tmp_path)
    assert played == live
    files = sorted((tmp_path / "replays").iterdir())
    assert [file.name for file in files] == NAMES
    assert {json.loads(file.read_text())["meta"]["sdk"] for file in files} == {"openai-python/3.54.0"}


def test_google_hears_the_same_again(google: Path, tmp_path: Path) -> None:
    live, played = heard_twice(google, GOOGLE, "gemini=%s", tmp_path)
    assert played == live
    assert "It is noon there" in json.dumps(live)
    files = sorted((tmp_path / "replays").iterdir())
    assert [file.name for file in files] == NAMES[:2]
    assert not any("AIza" in file.read_text() for file in files)
