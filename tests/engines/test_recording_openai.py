"""OpenAI's own SDK through a recorder: both APIs, streams and tool loops; and the same again without it."""

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
CLIENT = """
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


@pytest.fixture(scope="module")
def openai(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("openai"), "openai==3.54.0") / "python"


def ask(python: Path, url: str) -> Any:
    done = subprocess.run(
        [python, "-c", CLIENT, url], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_was_heard_is_heard_again(openai: Path, tmp_path: Path) -> None:
    scripted, replays = tmp_path / "scripted", tmp_path / "replays"
    scripted.mkdir()
    (scripted / "scripted.toml").write_text(SCRIPT)
    with Replay(scripted) as api:
        options = ("--record", "--upstream", f"openai={api.url}/v1")
        with Replay(replays, *options) as recorder:
            heard = ask(openai, recorder.url)
    assert sorted(path.name for path in replays.iterdir()) == [
        *("001-the-time-in-tokyo-1.json", "001-the-time-in-tokyo-2.json", "002-the-time-in-tokyo-1.json")
    ]
    metas = [json.loads(path.read_text())["meta"] for path in replays.iterdir()]
    assert {meta["sdk"] for meta in metas} == {"openai-python/3.54.0"}
    with Replay(replays) as replay:
        assert ask(openai, replay.url) == heard
