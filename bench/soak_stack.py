"""What is soaked: a runtime whose agent has three MCP servers, one of each shape, and who restarts them.

In: a directory. Out: a `Stack` of real processes: the runtime with its inside server, a sidecar (the relay
alone in front of a stdio server) and a service over HTTP, the latter two restarted by their supervisor, as
an engine would. Nothing outlives the `with`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from loopback import free_port, wait
from relays import TOY, listening, runs_toy

from processes import family

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIMEOUT_S = 3.0  # of a call, in the manifest
TOY_COMMAND = (sys.executable, "-S", TOY)


@dataclass(frozen=True)
class Census:
    """What a process holds. `zombies`: its children that nobody has waited for."""

    processes: int
    threads: int
    descriptors: int
    zombies: int
    rss_mb: float

    @classmethod
    def of(cls, pid: int) -> Census:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        amounts = {line.split(":")[0]: line.split()[1] for line in status if len(line.split()) > 1}
        return cls(
            processes=1 + len(family(pid)),
            threads=int(amounts["Threads"]),
            descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            zombies=len(_zombies(pid)),
            rss_mb=round(int(amounts["VmRSS"]) / 1024, 1),
        )

    def document(self) -> dict[str, float]:
        return asdict(self)


def _zombies(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, of = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
            if state == "Z" and int(of) == parent:
                found.append(int(stat.parent.name))
    return found


class Supervised:
    """A process that is started again when it has ended, as an engine does with containers."""

    def __init__(self, command: Sequence[str], port: int, log: Path) -> None:
        self._command, self._port, self._log = command, port, log
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    async def restart(self, pause: float) -> None:
        """Kill it, and start it again after `pause` seconds."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        await asyncio.sleep(pause)
        self.process = self._start()

    def wait(self) -> None:
        listening(self._port)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Stack:
    """The processes. `api` and `admin` are addresses of the runtime's."""

    runtime: subprocess.Popen[bytes]
    sidecar: Supervised
    service: Supervised
    api: str
    admin: str
    log: Path

    def inside_server(self) -> int | None:
        """The process of the inside server, while there is one."""
        return _toy_below(self.runtime.pid)

    def sidecar_server(self) -> int | None:
        return _toy_below(self.sidecar.process.pid)

    async def ready(self, seconds: float) -> bool:
        """Whether /readyz says 200 within `seconds`."""
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as http:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(f"{self.admin}/readyz")).status_code == 200:
                        return True
                await asyncio.sleep(0.1)
        return False

    def stop(self) -> tuple[int | None, list[int]]:
        """End the runtime as an engine does. Its exit code, None when it had to be killed; who is left."""
        members = family(self.runtime.pid)
        self.runtime.send_signal(signal.SIGTERM)
        try:
            code = self.runtime.wait(20)
        except subprocess.TimeoutExpired:
            return None, members
        time.sleep(0.5)
        return code, [pid for pid in members if Path(f"/proc/{pid}").exists()]


def _toy_below(pid: int) -> int | None:
    return next((member for member in family(pid) if runs_toy(member)), None)


@contextmanager
def running(place: Path) -> Iterator[Stack]:
    ports = {name: free_port() for name in ("API", "ADMIN", "RELAY", "SIDECAR", "SERVICE")}
    alone = (sys.executable, "-m", "shipway_runtime.relay", "beside", "--port", str(ports["SIDECAR"]))
    with contextlib.ExitStack() as stack:
        sidecar = Supervised((*alone, "--", *TOY_COMMAND), ports["SIDECAR"], place / "sidecar.log")
        stack.callback(sidecar.end)
        service = Supervised((*TOY_COMMAND, str(ports["SERVICE"])), ports["SERVICE"], place / "service.log")
        stack.callback(service.end)
        sidecar.wait()
        service.wait()
        runtime = stack.enter_context(_runtime(place, ports))
        addresses = (f"http://127.0.0.1:{ports[name]}" for name in ("API", "ADMIN"))
        wait(f"http://127.0.0.1:{ports['ADMIN']}/readyz")
        yield Stack(runtime, sidecar, service, *addresses, place / "runtime.log")


@contextmanager
def _runtime(place: Path, ports: dict[str, int]) -> Iterator[subprocess.Popen[bytes]]:
    shutil.copy(Path(__file__).with_name("soak_agent.py"), place)
    (place / "shipway.json").write_text(json.dumps(_manifest(ports)))
    environ = os.environ | {
        "SHIPWAY_ENV": "development",
        "SHIPWAY_HOST": "127.0.0.1",
        "SHIPWAY_MANIFEST": str(place / "shipway.json"),
        "SHIPWAY_SOURCE": str(place),
        "SHIPWAY_STORAGE": str(place / "data"),
        "SHIPWAY_CHECK_INTERVAL": "1",
        "SHIPWAY_DRAIN_DELAY": "0",
        **{f"SHIPWAY_{name}_PORT": str(ports[name]) for name in ("API", "ADMIN", "RELAY")},
    }
    command = (sys.executable, "-m", "shipway_runtime")
    with (
        (place / "runtime.log").open("wb") as log,
        subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _manifest(ports: dict[str, int]) -> dict[str, object]:
    urls = {name: f"http://127.0.0.1:{ports[name]}/mcp" for name in ("SIDECAR", "SERVICE")}
    servers = [
        {"name": "within", "shape": "inside", "command": list(TOY_COMMAND)},
        {"name": "beside", "shape": "sidecar", "url": urls["SIDECAR"]},
        {"name": "apart", "shape": "service", "url": urls["SERVICE"]},
    ]
    return {
        "name": "soak",
        "entrypoint": "soak_agent:agent",
        "mcp": [server | {"timeout_s": TIMEOUT_S} for server in servers],
    }
