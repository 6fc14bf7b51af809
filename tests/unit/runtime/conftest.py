"""A whole runtime as a process: `start(source)` writes an agent, starts it on free ports and waits for it.

And a token endpoint for it, and for what it is made of: `token_server`.
"""

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

import httpx2
import pytest
from tests.ports import free_port
from tests.token_server import TokenServer

BOUND_S = 60.0


class Running:
    """One runtime process; `api` and `admin` are clients of its ports."""

    def __init__(self, place: Path, env: dict[str, str], python: str | Path = sys.executable) -> None:
        self.place = place
        self.ports = {name: free_port() for name in ("API", "ADMIN", "RELAY")}
        given = {f"SHIPWAY_{name}_PORT": str(port) for name, port in self.ports.items()}
        given |= {"SHIPWAY_ENV": "development", "SHIPWAY_HOST": "127.0.0.1", "SHIPWAY_DRAIN_DELAY": "0"}
        given |= {"SHIPWAY_SOURCE": str(place), "SHIPWAY_PROMPTS": str(place / "prompts")}
        given |= {"SHIPWAY_MANIFEST": str(place / "shipway.json"), "SHIPWAY_CHECK_INTERVAL": "0.1"}
        given |= {"TMPDIR": str(place)}  # what one process leaves there, another takes over
        self.stderr, self.stdout = place / "stderr", place / "stdout"
        with self.stderr.open("wb") as err, self.stdout.open("wb") as out:
            self.process = subprocess.Popen(
                [python, "-m", "shipway_runtime"],
                env={"PATH": os.environ["PATH"]} | given | env,
                stderr=err,
                stdout=out,
            )
        self.api = self._client("API")
        self.admin = self._client("ADMIN")

    def _client(self, name: str) -> httpx2.Client:
        return httpx2.Client(
            base_url=f"http://127.0.0.1:{self.ports[name]}", timeout=BOUND_S, trust_env=False
        )

    def ask(self, text: Any = "hi", **body: Any) -> httpx2.Response:
        return self.api.post("/v1/responses", json={"input": text} | body)

    def wait_ready(self) -> Running:
        self.wait_for(lambda: self.get_admin("/readyz") == 200, "readiness")
        return self

    def get_admin(self, path: str) -> int:
        try:
            return self.admin.get(path).status_code
        except httpx2.TransportError:
            return 0

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + BOUND_S
        while not condition():
            assert time.monotonic() < end, f"no {what} within {BOUND_S} s:\n{self.log()}"
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}"
            time.sleep(0.02)

    def log(self) -> str:
        return self.stderr.read_text()

    def outcomes(self) -> list[dict[str, Any]]:
        lines = self.stdout.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        return self.process.wait(BOUND_S)

    def close(self) -> None:
        self.api.close()
        self.admin.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def write_agent(place: Path, source: str, manifest: dict[str, Any]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / "agent.py").write_text(source)
    (place / "shipway.json").write_text(json.dumps({"name": "test", "entrypoint": "agent:agent"} | manifest))


Start = Callable[..., Running]


def _starter(place: Path) -> Iterator[Start]:
    started: list[Running] = []

    def start(
        source: str, *, ready: bool = True, env: dict[str, str] | None = None, **manifest: Any
    ) -> Running:
        write_agent(place, source, manifest)
        running = Running(place, env or {})
        started.append(running)
        return running.wait_ready() if ready else running

    yield start
    for running in started:
        running.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from _starter(tmp_path)


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """For one process that serves a whole module of tests."""
    yield from _starter(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    server = TokenServer()
    yield server
    server.close()
