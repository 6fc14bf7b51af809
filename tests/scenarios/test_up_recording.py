"""`shipway up --record` as a user runs it: the agent, the recorder, and an API instead of the real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.model_api import Asked, ModelApi, Says, says_json

pytestmark = pytest.mark.network  # the agent's environment is installed by uv, from its cache or an index

SHIPWAY = Path(sys.executable).with_name("shipway")
KEY = "sk-ant-api03-" + "q7Rk2Wz9Lm4" * 8
TOML = """
name = "small"
entrypoint = "agent:agent"
[model]
provider = "anthropic"
name = "claude-sonnet-5"
[secrets]
ANTHROPIC_API_KEY = "env"
CRM_TOKEN = "file"
"""
AGENT = """
import json, os, urllib.error, urllib.request

async def agent(messages, ctx):
    said = messages[-1]["content"] + " " + ctx.secret("CRM_TOKEN")
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": said}]}
    headers = {"anthropic-version": "2023-06-01", "content-type": "application/json"}
    headers["x-api-key"] = os.environ["ANTHROPIC_API_KEY"]
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        return urllib.request.urlopen(request).read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "agent.toml").write_text(TOML)
    (tmp_path / "agent.py").write_text(AGENT)
    return tmp_path


@pytest.fixture
def run(root: Path) -> Iterator[Run]:
    def shipway(*arguments: str, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SHIPWAY_", "ANTHROPIC_"))
        }
        environment = kept | {"SHIPWAY_CACHE": str(root / ".cache"), "NO_PROXY": "localhost"} | dict(env)
        command = [str(SHIPWAY), *arguments]
        with (root / ".out").open("w+") as out, (root / ".err").open("w+") as err:
            code = subprocess.call(command, cwd=root, env=environment, stdout=out, stderr=err, timeout=120)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())

    yield shipway
    shipway("down")


def answer(asked: Asked) -> Says:
    return says_json({"type": "message", "heard": asked.body["messages"][-1]["content"]})


def test_record_then_replay_without_a_key(root: Path, run: Run, free_port: Callable[[], int]) -> None:
    port = ("--engine", "processes", "--port", str(free_port()))
    with ModelApi(answer) as api:
        given = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url, "CRM_TOKEN": "c4nary-of-the-crm"}
        up = run("up", "-d", *port, "--record", env=given)
        assert up.returncode == 0, up.stderr
        heard = run("ask", "who am I").stdout
        assert "c4nary-of-the-crm" in heard
        assert api.asked[0].headers["x-api-key"] == KEY
        log = run("logs", "replay").stdout
        run("down")
    assert "recorded 001-who-am-i" in log
    stored = json.loads((root / "replays/001-who-am-i-1.json").read_text())
    assert stored["request"]["body"]["messages"][0]["content"] == "who am I <secret CRM_TOKEN>"
    assert stored["meta"]["declared_model"] == "claude-sonnet-5"
    assert not holding(root / "replays", "c4nary", KEY)
    up = run("up", "-d", *port, env={"CRM_TOKEN": "my-own-token-of-it"})
    assert up.returncode == 0, up.stderr
    assert "<secret CRM_TOKEN>" in run("ask", "who am I").stdout


def holding(directory: Path, *texts: str) -> list[Path]:
    return [path for path in directory.rglob("*") if any(text in path.read_text() for text in texts)]


@pytest.mark.parametrize("option", ["--record", "--record-missing"])
def test_recording_needs_the_key(run: Run, option: str) -> None:
    done = run("up", "-d", option)
    assert done.returncode == 1
    assert f"{option} needs ANTHROPIC_API_KEY, which is not in the environment or in .env" in done.stderr


def test_one_of_live_and_record(run: Run) -> None:
    done = run("up", "--live", "--record")
    assert done.returncode == 2
    assert "--live and --record exclude each other" in done.stderr
