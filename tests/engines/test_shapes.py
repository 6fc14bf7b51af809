"""One agent, its MCP server in each of the three shapes, through the real command line: the same answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.installing import from_pypi

pytestmark = pytest.mark.network

SHIPWAY = Path(sys.executable).with_name("shipway")
PATIENCE_S = 60.0
SERVER = "mcp-server-time==2026.10.19"

AGENT = """
import json
from mcp import Client

async def agent(messages, ctx):
    zone = messages[-1]["content"]
    async with Client(ctx.mcp["clock"]) as client:
        tools = sorted(tool.name for tool in (await client.list_tools()).tools)
        asked = {"source_timezone": "UTC", "time": "12:00", "target_timezone": zone}
        result = await client.call_tool("convert_time", asked)
    text = result.content[0].text
    return f"{tools}: {text if result.is_error else json.loads(text)['time_difference']}"
"""
TOML = """
name = "clocked"
entrypoint = "agent:agent"

[mcp.clock]
"""
SHAPES = {
    "inside": f'shape = "inside"\nrun = "pypi:{SERVER}"\n',
    "sidecar": f'shape = "sidecar"\nrun = "pypi:{SERVER}"\n',
    "service": 'shape = "service"\nurl = "{url}"\n',
}
TOOLS = "['convert_time', 'get_current_time']"


class Project:
    """A project in a directory of its own, and the shell in which shipway is called."""

    def __init__(self, root: Path, port: int) -> None:
        self._root, self._port = root, port
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("SHIPWAY_")}
        self._env["SHIPWAY_CACHE"] = str(root / ".cache")

    def write(self, shape: str) -> None:
        (self._root / "agent.toml").write_text(TOML + shape)
        (self._root / "agent.py").write_text(AGENT)
        (self._root / "requirements.txt").write_text("mcp==2.3.0\n")

    def run(self, *arguments: str) -> str:
        # Into files: a process that is left behind would keep a pipe open.
        with (self._root / ".out").open("w+") as out, (self._root / ".err").open("w+") as err:
            command = [str(SHIPWAY), *arguments]
            code = subprocess.call(
                command, cwd=self._root, env=self._env, stdout=out, stderr=err, timeout=3 * PATIENCE_S
            )
            out.seek(0)
            err.seek(0)
            assert code == 0, f"{arguments}: {out.read()}{err.read()}"
            return out.read()

    def answers(self, question: str, answer: str) -> bool:
        """Whether the agent answers so. While its server comes back, a turn may fail."""
        try:
            return self.run("ask", question) == answer
        except AssertionError:
            return False

    def up(self) -> None:
        self.run("up", "-d", "--engine", "processes", "--port", str(self._port))

    def status(self) -> Any:
        return json.loads(self.run("status", "--json"))

    def server(self) -> dict[str, Any]:
        """What `shipway status` says of the server, as the agent's relay sees it."""
        return dict(self.status()["readiness"]["checks"]["mcp:clock"])

    def pid(self) -> int | None:
        """Of the server inside, or of the sidecar in front of it; None where others run it."""
        sidecars = [found for found in self.status()["stack"]["processes"] if found["name"] == "mcp-clock"]
        pid = sidecars[0]["pid"] if sidecars else self.server().get("pid")
        return int(pid) if pid else None


@pytest.fixture
def project(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Project]:
    made = Project(tmp_path, free_port())
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_pypi(tmp_path_factory.mktemp("clock") / "venv", SERVER)


@pytest.fixture
def service(programs: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """The URL of a server that others run."""
    port = free_port()
    relay = ("-m", "shipway_runtime.relay", "clock", "--port", str(port), "--")
    process = subprocess.Popen([sys.executable, *relay, str(programs / "mcp-server-time")])
    yield f"http://127.0.0.1:{port}/mcp"
    process.terminate()
    process.wait(PATIENCE_S)


def test_the_agent_does_not_notice_where_its_server_is(project: Project, service: str) -> None:
    for name, shape in SHAPES.items():
        project.write(shape.format(url=service))
        project.up()
        assert project.run("ask", "Asia/Tokyo") == f"{TOOLS}: +9.0h\n"
        assert "Invalid timezone" in project.run("ask", "Nowhere")
        server = project.server()
        assert (server["shape"], server["state"], server["restarts"]) == (name, "up", 0)
        if pid := project.pid():
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: project.pid() not in (pid, None))
            until(lambda: project.answers("Europe/Moscow", f"{TOOLS}: +3.0h\n"))
        project.run("down")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
