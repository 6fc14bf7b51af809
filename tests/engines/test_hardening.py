"""A container under the constraints of a strict platform, from start to end: read-only root, no capabilities,
no privileges to gain, a network that leads nowhere, little memory, few processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.docker import Docker

pytestmark = [pytest.mark.docker, pytest.mark.network]

SHIPWAY = Path(sys.executable).with_name("shipway")

SPEC = """
name = "hard"
entrypoint = "hard.agent:agent"
[secrets]
KEY = "file"
[storage]
path = "/data"
[api]
auth = "none"
[mcp.look]
run = "project:hard.server"
"""

AGENT = """
import asyncio, ctypes, errno, json, os, pathlib, resource, subprocess, sys

PLACES = ("/", "/app", "/app/src", "/app/.venv", "/etc", "/usr", "/var", "/run", "/run/secrets", "/home")
ORPHAN = "import os, time; os.fork() or (time.sleep(0.2), os._exit(0))"

def writable(place):
    try:
        pathlib.Path(place, "probe").write_text("x")
        return True
    except OSError:
        return False

def myself():
    lines = (line.split(":", 1) for line in open("/proc/self/status"))
    return {name: value.strip() for name, value in lines}

def zombies():
    stats = pathlib.Path("/proc").glob("[0-9]*/stat")
    return sum(path.read_text().rpartition(")")[2].split()[0] == "Z" for path in stats)

async def agent(messages, ctx):
    what = messages[-1]["content"]
    if what == "secret":
        yield ctx.secret("KEY")
    elif what == "places":
        yield json.dumps([place for place in (*PLACES, "/tmp", str(ctx.storage)) if writable(place)])
    elif what == "myself":
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
        said = {"core": limits, "dumpable": dumpable, "pid": os.getpid(), "home": os.environ["HOME"]}
        yield json.dumps({"status": myself()} | said)
    elif what == "orphan":
        for _ in range(5):
            subprocess.run([sys.executable, "-c", ORPHAN], check=True)
        for _ in range(100):
            if not zombies():
                break
            await asyncio.sleep(0.1)
        yield str(zombies())
    else:
        for number in range(20):
            yield f"<{number}>"
            await asyncio.sleep(0.05)
"""

SERVER = """
import json, os, sys

def look(path):
    try:
        return open(path, "rb").read(1) and "readable"
    except OSError as error:
        return type(error).__name__

seen = [look(path) for path in ("/proc/1/environ", "/proc/1/mem", "/proc/1/maps")]
print("LOOKED", *seen, "KEY" in os.environ, file=sys.stderr, flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
        result["serverInfo"] = {"name": "look", "version": "1"}
    elif "id" in message:
        result = {"tools": []}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""

GIVE = "import os; os.chown('/data', 65532, 65532)"


@pytest.fixture
def image(docker: Docker, tmp_path: Path) -> str:
    project = tmp_path / "hard"
    (project / "hard").mkdir(parents=True)
    (project / "hard/__init__.py").write_text("")
    (project / "hard/agent.py").write_text(AGENT)
    (project / "hard/server.py").write_text(SERVER)
    (project / "agent.toml").write_text(SPEC)
    done = subprocess.run(
        (SHIPWAY, "build", "--load"), cwd=project, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    docker.images.append("hard:latest")
    return "hard:latest"


@pytest.fixture
def network(docker: Docker) -> Iterator[str]:
    """One that leads nowhere; this machine reaches it, because it is the bridge's other end."""
    name = f"shipway-test-{uuid.uuid4().hex[:8]}"
    docker("network", "create", "--internal", name)
    yield name
    docker.remove()
    subprocess.run((docker.program, "network", "rm", name), capture_output=True)


def mount(directory: Path, version: str, value: str) -> None:
    """As Kubernetes does: a new directory, and a swap of the link `..data`."""
    (directory / version).mkdir(parents=True)
    (directory / version / "KEY").write_text(value)
    (directory / "next").symlink_to(version)
    (directory / "next").rename(directory / "..data")
    if not (directory / "KEY").is_symlink():
        (directory / "KEY").symlink_to("..data/KEY")


class Container:
    """The agent's container; `ask` gives the text of its answer."""

    def __init__(self, docker: Docker, name: str) -> None:
        self.docker, self.name = docker, name
        networks = json.loads(docker("inspect", name))[0]["NetworkSettings"]["Networks"]
        self._address = next(iter(networks.values()))["IPAddress"]

    def ready(self) -> bool:
        try:
            return self.get(8081, "/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    def get(self, port: int, path: str) -> httpx2.Response:
        return httpx2.get(f"http://{self._address}:{port}{path}", trust_env=False)

    def ask(self, text: str, **more: Any) -> str:
        url = f"http://{self._address}:8080/v1/responses"
        response = httpx2.post(url, json={"input": text} | more, timeout=60, trust_env=False)
        assert response.status_code == 200, response.text
        return response.text if more else str(response.json()["output"][0]["content"][0]["text"])

    def log(self) -> str:
        done = subprocess.run((self.docker.program, "logs", self.name), capture_output=True, text=True)
        return done.stdout + done.stderr

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, f"no {what}:\n{self.log()}"
            time.sleep(0.1)


def test_everything_works_under_hard_constraints(
    docker: Docker, image: str, network: str, tmp_path: Path
) -> None:
    mount(tmp_path / "secrets", "..v1", "first-value")
    (tmp_path / "data").mkdir()
    volume = ("--volume", f"{tmp_path}/data:/data")
    docker("run", "--rm", "--user", "0", *volume, "--entrypoint", "/usr/bin/python3", image, "-c", GIVE)
    name = docker.container(
        "run",
        image,
        *("--detach", "--read-only", "--tmpfs", "/tmp:rw,noexec,nosuid,size=16m", "--network", network),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--memory", "192m", "--memory-swap", "192m", "--pids-limit", "48"),
        *(*volume, "--volume", f"{tmp_path}/secrets:/run/secrets:ro"),
        *("--env", "SHIPWAY_ENV=prod", "--env", "SHIPWAY_DRAIN_DELAY=0.5"),
    )
    container = Container(docker, name)
    container.wait_for(container.ready, "readiness")

    assert json.loads(container.ask("places")) == ["/tmp", "/data"]
    _has_nothing(json.loads(container.ask("myself")))
    looked = "LOOKED PermissionError PermissionError PermissionError False"
    assert looked in container.log(), "a server inside reads nothing of the agent, whose user it shares"
    assert container.get(8081, "/metrics").status_code == 200
    assert "process_open_fds" in container.get(8081, "/metrics").text

    assert container.ask("secret") == "first-value"
    mount(tmp_path / "secrets", "..v2", "second-value")
    container.wait_for(lambda: container.ask("secret") == "second-value", "the rotated secret")
    assert container.ask("orphan") == "0", "process 1 reaps"

    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(container.ask("count", stream=True)))
    asking.start()
    time.sleep(0.3)
    docker("stop", "--time", "30", name)
    asking.join()
    assert "response.completed" in answers[0]
    assert "<19>" in answers[0]
    state = json.loads(docker("inspect", name))[0]["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    mounted = {"C /run", "A /run/secrets"}
    assert set(docker("diff", name).splitlines()) <= mounted, "nothing is written beside the volume and /tmp"
    assert "Traceback" not in container.log()


def _has_nothing(said: dict[str, Any]) -> None:
    status = said["status"]
    assert said["pid"] == 1
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65532"}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Umask"]) == ("1", "0027")
    assert (said["core"], said["dumpable"], said["home"]) == ([0, 0], 0, "/tmp")
