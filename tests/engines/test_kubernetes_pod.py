"""The pod that is rendered, with real images and no cluster: what it mounts, asks and promises is true."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.docker import Docker
from tests.kubelet import Pod
from tests.kubernetes import containers, find, objects, pod

from shipway.render.kubernetes import render
from shipway.render.released import plan_released
from shipway.spec.load import load

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.long]

SHIPWAY = Path(sys.executable).with_name("shipway")
AGENT = """
import os, pathlib

async def agent(messages, ctx):
    token = pathlib.Path(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]).read_text()
    return f'{ctx.secret("FILE")} {ctx.secret("KEY")} {token} {ctx.config["greeting"]}'
"""
SERVER = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
        result["serverInfo"] = {"name": "own", "version": "1"}
    elif "id" in message:
        result = {"tools": []}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""
SPEC = """
name = "podded"
entrypoint = "own.agent:agent"
[secrets]
KEY = "env"
FILE = "file"
AWS_WEB_IDENTITY_TOKEN_FILE = "env"
[mcp.own]
shape = "sidecar"
run = "project:own.server"
[storage]
[api]
auth = "none"
[config]
greeting = "hello"
[env.prod.config]
greeting = "good day"
"""
KILLED = json.dumps({"kill": {"all": True}, "format": 1})


@pytest.fixture
def docker(engine: Callable[[str], str]) -> Iterator[Docker]:
    docker = Docker(engine("docker"))
    yield docker
    docker.remove()


@pytest.fixture(params=[False, True], ids=["native", "plain"])
def started(docker: Docker, tmp_path: Path, request: pytest.FixtureRequest) -> Pod:
    project = tmp_path / "podded"
    (project / "own").mkdir(parents=True)
    for name, text in (("__init__", ""), ("agent", AGENT), ("server", SERVER)):
        (project / f"own/{name}.py").write_text(text)
    (project / "agent.toml").write_text(SPEC)
    words = (SHIPWAY, "build", "--load")
    done = subprocess.run(words, cwd=project, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    plan = plan_released(load(project / "agent.toml", "prod"), "prod", project, None)
    rendered = render(plan, plain=request.param)
    spec = pod(rendered, "podded")
    for one in containers(spec):
        one["image"] = "podded:latest"  # an engine knows no digest of what was loaded into it
        for variable in one.get("env", ()):
            if variable["name"] == "SHIPWAY_CONTROL_URL":
                variable["value"] = ""  # as an overlay says that there is none
    maps = {one["metadata"]["name"]: one["data"] for one in objects(rendered) if one["kind"] == "ConfigMap"}
    maps["podded-policy"] = {"policy.json": rendered.once["policy.json"]}
    secrets = {"podded-secrets": {"KEY": "key-of-the-secret", "FILE": "first-file"}}
    secrets["podded-control"] = {"SHIPWAY_CONTROL_TOKEN": "shown-to-nobody"}
    assert find(rendered, "PersistentVolumeClaim", "podded-data")
    place = tmp_path / "volumes"
    place.mkdir()
    found = Pod(docker, spec, maps, secrets, place)
    found.start()
    found.wait("agent", "readiness")
    return found


def turn(pod: Pod) -> httpx2.Response:
    return httpx2.post(f"http://{pod.address}:8080/v1/responses", json={"input": "hi"}, timeout=20)


def said(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["output"][-1]["content"][0]["text"])


def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def volume(pod: Pod, name: str) -> dict[str, object]:
    (found,) = [one for one in pod.spec["volumes"] if one["name"] == name]
    return dict(found)


def test_a_pod_is_what_it_promises(started: Pod) -> None:
    for name in ("mcp-own", "agent"):
        for kind in ("startup", "liveness", "readiness"):
            assert started.ask(name, kind), (name, kind)
    answer = turn(started)
    assert said(answer) == "first-file key-of-the-secret sts.amazonaws.com good day"
    env = {one["name"]: one.get("value") for one in started.spec["containers"][0]["env"]}
    assert answer.headers["x-shipway-revision"] == env["SHIPWAY_REVISION"]

    started.secrets["podded-secrets"]["FILE"] = "second-file"
    started.fill(volume(started, "secrets"))
    eventually(lambda: said(turn(started)).startswith("second-file "))

    started.maps["podded-policy"]["policy.json"] = KILLED
    started.fill(volume(started, "etc"))
    eventually(lambda: turn(started).status_code >= 400)

    plain = "initContainers" not in started.spec
    waiting = started.end("mcp-own") if plain else None
    if waiting:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
    assert started.stop("agent") == 0
    assert waiting is None or waiting.wait(20) == 0
    assert started.stop("mcp-own") == 0
