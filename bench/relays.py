"""The relays that are compared: ours, mcp-proxy, fastmcp's proxy; each as its users run it, in one process.

In: MCP servers by name, each a command (stdio) or a URL (HTTP). Out: a running process and where each server
is behind it. The peers are installed by uv into environments of their own. Nothing outlives the `with`.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conversations import Http
from loopback import free_port, wait

import processes
from processes import family, install, running

if TYPE_CHECKING:
    from collections.abc import Iterator

Target = Sequence[str] | str
"""A command, or a URL."""
Start = Callable[[Path, Mapping[str, Target]], AbstractContextManager["Relay"]]
TOY = str(Path(__file__).with_name("toy_mcp.py"))
AGENT = "async def agent(messages):\n    return 'pong'\n"
FASTMCP = """
import json, sys
from fastmcp.server import create_proxy

create_proxy({"mcpServers": json.loads(sys.argv[2])}).run(
    transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False, log_level="error"
)
"""


@dataclass(frozen=True)
class Relay:
    """A running relay. `paths`: where each server is."""

    process: subprocess.Popen[bytes]
    port: int
    paths: Mapping[str, str]

    def converse(self, name: str = "toy", *, modern: bool = False) -> Http:
        return Http(self.port, self.paths[name], modern=modern)


@dataclass(frozen=True)
class Peers:
    """Directories of virtual environments, and the versions in them."""

    mcp_proxy: Path
    fastmcp: Path
    versions: Mapping[str, str]

    @classmethod
    def install(cls, place: Path) -> Peers:
        versions = {name: install(place / name, name) for name in ("mcp-proxy", "fastmcp")}
        return cls(place / "mcp-proxy", place / "fastmcp", versions)


# -- The three -----------------------------------------------------------------------------------------------


@contextmanager
def shipway(place: Path, servers: Mapping[str, Target], **settings: object) -> Iterator[Relay]:
    """The whole runtime with an agent that does nothing: the relay runs beside its API."""
    place = Path(tempfile.mkdtemp(dir=place))
    manifest = [_server(name, target) | settings for name, target in servers.items()]
    (place / "agent.py").write_text(AGENT)
    (place / "shipway.json").write_text(
        json.dumps({"name": "bench", "entrypoint": "agent:agent", "mcp": manifest})
    )
    ports = {name: free_port() for name in ("API", "ADMIN", "RELAY")}
    environ = os.environ | {f"SHIPWAY_{name}_PORT": str(port) for name, port in ports.items()}
    environ |= {"SHIPWAY_ENV": "development", "SHIPWAY_HOST": "127.0.0.1", "SHIPWAY_DRAIN_DELAY": "0"}
    environ |= {"SHIPWAY_SOURCE": str(place), "SHIPWAY_MANIFEST": str(place / "shipway.json")}
    with running((sys.executable, "-m", "shipway_runtime"), environ) as process:
        wait(f"http://127.0.0.1:{ports['ADMIN']}/readyz")
        yield Relay(process, ports["RELAY"], {name: f"/mcp/{name}" for name in servers})


def _server(name: str, target: Target) -> dict[str, object]:
    if isinstance(target, str):
        return {"name": name, "shape": "service", "url": target}
    return {"name": name, "shape": "inside", "command": list(target)}


def mcp_proxy(peers: Peers) -> Start:
    """It leads from HTTP to stdio or from stdio to HTTP; from HTTP to HTTP, one in front of another does."""
    program = str(peers.mcp_proxy / "bin/mcp-proxy")

    @contextmanager
    def start(place: Path, servers: Mapping[str, Target]) -> Iterator[Relay]:
        onward = (program, "--transport", "streamablehttp")
        commands = {n: (*onward, t) if isinstance(t, str) else t for n, t in servers.items()}
        named = {n: {"command": c[0], "args": list(c[1:])} for n, c in commands.items()}
        config, port = Path(tempfile.mkdtemp(dir=place)) / "servers.json", free_port()
        config.write_text(json.dumps({"mcpServers": named}))
        words = ("--port", str(port), "--log-level", "ERROR", "--pass-environment")
        with running((program, *words, "--named-server-config", str(config))) as process:
            wait(f"http://127.0.0.1:{port}/status")
            yield Relay(process, port, {name: f"/servers/{name}/mcp" for name in servers})

    return start


def fastmcp(peers: Peers) -> Start:
    """One endpoint for all servers; with several it puts their names before those of the tools."""

    @contextmanager
    def start(place: Path, servers: Mapping[str, Target]) -> Iterator[Relay]:
        named = {
            n: {"url": t} if isinstance(t, str) else {"command": t[0], "args": list(t[1:])}
            for n, t in servers.items()
        }
        script, port = Path(tempfile.mkdtemp(dir=place)) / "proxy.py", free_port()
        script.write_text(FASTMCP)
        command = (str(peers.fastmcp / "bin/python"), str(script), str(port), json.dumps(named))
        with running(command) as process:
            listening(port)
            yield Relay(process, port, dict.fromkeys(servers, "/mcp"))

    return start


# -- Processes -----------------------------------------------------------------------------------------------


@contextmanager
def toy_over_http(port: int) -> Iterator[subprocess.Popen[bytes]]:
    with running((sys.executable, "-S", TOY, str(port))) as process:
        listening(port)
        yield process


def listening(port: int) -> None:
    """Return when something answers on a port with HTTP, whatever it says."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.005)
        finally:
            connection.close()
    raise SystemExit(f"nothing answers on port {port} within 30 s")


def runs_toy(pid: int) -> bool:
    """Whether a process is the server itself, and no relay that has its path among its arguments."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return TOY.encode() in words[1:3]


def memory_mb(pid: int) -> tuple[float, float]:
    """RSS and PSS of a relay and of what it runs, its MCP servers not counted."""
    return processes.memory_mb(member for member in (pid, *family(pid)) if not runs_toy(member))
