"""A project that is deployed to a real engine, each test's in an environment of its own.

It is built once for all tests: an environment is no part of an image. What a test leaves in the engine is
removed by its label, as the documentation says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from shipway.plan.deployment import LABEL

SHIPWAY = Path(sys.executable).with_name("shipway")
PATIENCE_S = 180.0
SECRET = "canary-5f1e0c7d9ab24e6f"
"""The value that must be found nowhere."""

AGENT_TOML = """\
name = "dep"
entrypoint = "agent:agent"
[secrets]
KEY = "env"
[env.ENV.api]
auth = "none"
"""
AGENT = """\
async def agent(messages, ctx):
    assert ctx.secret("KEY")
    return "{} " + messages[-1]["content"]
"""
RELEASES = {
    "one": AGENT.format("one"),
    "two": AGENT.format("two"),
    "broken": "raise SystemExit('the agent cannot start')\n" + AGENT.format("broken"),
}
"""Name -> agent.py: the first word of an answer says which one gave it."""


def build(root: Path, docker: str) -> None:
    """`root/NAME` is a directory that was built, for each of RELEASES."""
    for name, code in RELEASES.items():
        _build(root / name, code, docker)


def _build(place: Path, code: str, docker: str) -> None:
    place.mkdir(parents=True)
    (place / "agent.toml").write_text(AGENT_TOML.replace("ENV", "prod"))
    (place / "agent.py").write_text(code)
    done = subprocess.run((SHIPWAY, "build"), cwd=place, env=_environ(docker), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _environ(docker: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SHIPWAY_")}
    return env | {"PATH": f"{Path(docker).parent}:{env['PATH']}", "COLUMNS": "200"}


class Deployment:
    """One test's project, environment, and machine."""

    def __init__(self, built: Path, root: Path, port: int, docker: str, rollout: str = "") -> None:
        self.built, self.root, self.port, self.docker = built, root, port, docker
        self.environment = f"t{uuid.uuid4().hex[:8]}"
        self.rollout = rollout
        self.env = _environ(docker) | {"KEY": SECRET}

    @property
    def project(self) -> str:
        return f"dep-{self.environment}"

    def build(self, name: str, code: str) -> None:
        """One more release, with this agent.py."""
        _build(self.built / name, code, self.docker)

    def choose(self, name: str) -> None:
        """The directory is this release from now on."""
        shutil.copytree(self.built / name, self.root, dirs_exist_ok=True)
        text = AGENT_TOML.replace("ENV", self.environment) + self.rollout
        (self.root / "agent.toml").write_text(text)

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (SHIPWAY, *arguments),
            cwd=self.root,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_S,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            (SHIPWAY, *arguments), cwd=self.root, env=self.env, start_new_session=True, **pipes
        )

    def deploy(self, name: str, *options: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """`shipway deploy` of one of RELEASES; its exit code is `code`."""
        self.choose(name)
        port = ("--port", f"127.0.0.1:{self.port}")
        done = self.run("deploy", "--env", self.environment, *port, *options, **env)
        assert done.returncode == code, done.stderr + done.stdout
        return done

    def ask(
        self, text: str = "?", conversation: str | None = None, scheme: str = "http", **options: Any
    ) -> str:
        headers = {"x-conversation-id": conversation} if conversation else {}
        answer = httpx2.post(
            f"{scheme}://127.0.0.1:{self.port}/v1/responses",
            json={"input": text},
            headers=headers,
            timeout=PATIENCE_S,
            trust_env=False,
            **options,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["output"][0]["content"][0]["text"])

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--env", self.environment, "--json").stdout)
        return found

    def __call__(self, *arguments: str) -> str:
        """docker, whatever comes of it: stdout and stderr."""
        done = subprocess.run((self.docker, *arguments), capture_output=True, text=True, timeout=PATIENCE_S)
        return (done.stdout + done.stderr).strip()

    def containers(self) -> list[str]:
        of = ("--filter", f"label={LABEL}={self.project}")
        return self("ps", "-a", *of, "--format", "{{.Names}}").split()

    def remove(self) -> None:
        """By docker's own commands: `shipway down` may be what is tested."""
        of = ("--filter", f"label={LABEL}={self.project}")
        images = self(
            "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={self.project}/*"
        )
        for kind, command in (
            ("ps", ("rm", "--force")),
            ("volume", ("volume", "rm")),
            ("network", ("network", "rm")),
        ):
            listed = ("ps", "-aq") if kind == "ps" else (kind, "ls", "-q")
            if found := self(*listed, *of).split():
                self(*command, *found)
        if images:
            self("image", "rm", *images.split())


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def revision_of(text: str) -> str:
    """What `shipway deploy` prints, and nothing else."""
    found = re.fullmatch(r"([0-9a-f]{12}-[0-9a-f]{6})\n", text)
    assert found, text
    return found[1]
