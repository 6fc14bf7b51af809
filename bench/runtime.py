"""A heavy agent's start and cost: the runtime beside a bare uvicorn + starlette server.

The agent imports the Anthropic SDK, as most do. Both servers answer the same small JSON; loopback only.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from table import Row, median, report

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT = "import anthropic\n\nasync def agent(messages):\n    return 'pong'\n"
BARE = """
import anthropic
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    await request.json()
    return JSONResponse({"output": "pong"})

async def health(request):
    return JSONResponse({"status": "ok"})

app = Starlette(routes=[Route("/v1/responses", answer, methods=["POST"]), Route("/healthz", health)])
"""
POST = """
wrk.method = "POST"
wrk.body = '{"input": "ping"}'
wrk.headers["Content-Type"] = "application/json"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def ours(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    (directory / "agent.py").write_text(AGENT)
    (directory / "shipway.json").write_text('{"name": "a", "entrypoint": "agent:agent"}')
    api, admin = free_port(), free_port()
    environ = os.environ | {
        "SHIPWAY_ENV": "development",
        "SHIPWAY_HOST": "127.0.0.1",
        "SHIPWAY_MANIFEST": str(directory / "shipway.json"),
        "SHIPWAY_SOURCE": str(directory),
        "SHIPWAY_API_PORT": str(api),
        "SHIPWAY_ADMIN_PORT": str(admin),
    }
    with running([sys.executable, "-m", "shipway_runtime"], environ, directory) as process:
        yield process, api, admin


@contextlib.contextmanager
def bare(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    (directory / "bare.py").write_text(BARE)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--log-level", "error"]
    with running([*command, "--no-access-log"], dict(os.environ), directory) as process:
        yield process, port, port


@contextlib.contextmanager
def running(command: list[str], environ: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environ, cwd=cwd, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def wait(port: int, path: str = "/healthz") -> None:
    """Return at the first 200; give up after half a minute."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"http://127.0.0.1:{port}{path}").status_code == 200:
                return
        time.sleep(0.002)
    raise SystemExit(f"no 200 from port {port}{path} within 30 s")


def start_seconds(server, directory: Path, path: str) -> float:
    started = time.perf_counter()
    with server(directory) as (_, _, admin):
        wait(admin, path)
        return time.perf_counter() - started


def rate(port: int, directory: Path) -> float:
    """Requests per second, by wrk: a client in Python would be the bottleneck."""
    script = directory / "post.lua"
    script.write_text(POST)
    command = ("wrk", "-t1", "-c16", "-d3s", "-s", str(script), f"http://127.0.0.1:{port}/v1/responses")
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(said)
    return float(re.findall(r"Requests/sec:\s+([0-9.]+)", said)[0])


def rss_mb(process: subprocess.Popen[bytes]) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not on PATH: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        alive = [median(lambda s=s: start_seconds(s, directory, "/healthz"), 5) for s in (ours, bare)]
        ready = median(lambda: start_seconds(ours, directory, "/readyz"), 5)
        with ours(directory) as (process, api, _), bare(directory) as (peer, port, _):
            wait(api)
            wait(port)
            memory = [rss_mb(process), rss_mb(peer)]
            rates = [median(lambda p=p: rate(p, directory), 3) for p in (api, port)]
    peer_name = "uvicorn + starlette"
    report(
        "runtime",
        [
            Row(
                "process start to the first /healthz",
                "ms",
                alive[0] * 1e3,
                "<= 250 ms",
                alive[1] * 1e3,
                peer_name,
            ),
            Row("process start to /readyz", "ms", ready * 1e3, "", alive[1] * 1e3, peer_name),
            Row("RSS, idle", "MB", memory[0], "<= 15 MB more", memory[1], peer_name),
            Row("POST /v1/responses", "1/s", rates[0], ">= 0.8 x", rates[1], peer_name),
        ],
        *("shipway-runtime", "uvicorn", "starlette", "anthropic"),
    )


main()
