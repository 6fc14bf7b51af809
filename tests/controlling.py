"""The real control as a process of the tests' own, on a port of its own, with a token for each role."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
from tests.ports import free_port

SHIPWAY = Path(sys.executable).with_name("shipway")
BOUND_S = 30.0
TOKENS = {role: f"token-of-the-tests-{role}" for role in ("report", "read", "operate")}
DEPLOYMENT = {"name": "test", "environment": "development"}


class ControlProcess:
    """`shipway control serve`, with its data in `place` or in PostgreSQL at `database`."""

    def __init__(self, place: Path, database: str | None = None, *options: str) -> None:
        self._place, self._database, self._options = place, database, options
        self._log = place / "control.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, again on the same port, and wait until it answers."""
        lines = "\n".join(f"{role} {role}-of-tests {token}" for role, token in TOKENS.items())
        env = {"PATH": os.environ["PATH"], "SHIPWAY_CONTROL_TOKENS": lines}
        env |= {"SHIPWAY_CONTROL_DATABASE": self._database} if self._database else {}
        command = [SHIPWAY, "control", "serve", "--port", str(self.port)]
        said = len(self.log())
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", self._place / "control", *self._options], env=env, stderr=log
            )
        end = time.monotonic() + BOUND_S
        while "control: http://" not in self.log()[said:]:
            assert self.process.poll() is None, f"control ended:\n{self.log()}"
            assert time.monotonic() < end, f"control did not start:\n{self.log()}"
            time.sleep(0.02)

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def client(self, role: str | None = "operate") -> httpx2.Client:
        """A client with a token of this role; None has no token."""
        headers = {"authorization": f"Bearer {TOKENS[role]}"} if role else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=BOUND_S, trust_env=False)

    def ask(self, role: str | None, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request, which means DEPLOYMENT where its `params` say nothing else."""
        with self.client(role) as client:
            return client.request(method, path, **{"params": DEPLOYMENT} | more)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(BOUND_S)

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()
