"""A project in a temporary directory whose stack is started, in processes or in containers."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from shipway.local.container_process import LABEL
from shipway.local.containers import project

SHIPWAY = Path(sys.executable).with_name("shipway")
PATIENCE_S = 120.0
Engine = Literal["processes", "docker"]

BOTH_ENGINES = pytest.mark.parametrize(
    "stack_engine",
    ["processes", pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.long])],
    indirect=True,
)
"""The same scenario, in processes and in containers."""


class Project:
    """A project in a temporary directory, and the shell in which shipway is called."""

    def __init__(self, root: Path, port: int, engine: Engine = "processes", docker: str = "docker") -> None:
        self.root, self.port, self.engine, self.docker = root, port, engine, docker
        self.options = ("--engine", engine, "--port", str(port))
        self.terminals: list[subprocess.Popen[str]] = []
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("SHIPWAY_")}
        if engine == "processes":
            self.env["SHIPWAY_CACHE"] = str(root / ".cache")
        else:  # Debian's packages are not fetched again for each test
            self.env["PATH"] = f"{Path(docker).parent}:{self.env['PATH']}"

    def write(self, **files: str) -> None:
        """`agent_toml="…"` writes agent.toml, `agent_py` agent.py."""
        for name, text in files.items():
            (self.root / name.replace("_", ".", 1)).write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(SHIPWAY), *arguments]
        # The answers go to files: a process left behind would keep a pipe open, and hide what went wrong.
        with (self.root / ".out").open("w+") as out, (self.root / ".err").open("w+") as err:
            code = subprocess.call(
                command, cwd=self.root, env=self.env, stdout=out, stderr=err, timeout=4 * PATIENCE_S
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())

    def up(self, *options: str) -> subprocess.CompletedProcess[str]:
        patient = ("--wait-timeout", f"{3 * PATIENCE_S:g}")  # a busy machine is no failure
        done = self.run("up", "-d", *self.options, *patient, *options)
        assert done.returncode == 0, done.stderr
        return done

    def foreground(self) -> subprocess.Popen[str]:
        """`shipway up` in a session of its own, as in a terminal, read until the agent is ready."""
        process = subprocess.Popen(
            [str(SHIPWAY), "up", *self.options],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.terminals.append(process)
        assert process.stdout
        for line in process.stdout:
            if "ready in" in line:
                return process
        raise AssertionError(f"up ended with {process.wait()}")

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.root / ".shipway/stack.json").read_text()))

    def process(self, name: str) -> dict[str, Any]:
        """What the supervisor knows of one process."""
        return next(p for p in self.state()["processes"] if p["name"] == name)

    def container(self, name: str) -> str:
        return f"{project(self.state()['name'], str(self.root))}-{name}"

    def kill(self, name: str) -> None:
        """SIGKILL, from outside."""
        if self.engine == "processes":
            os.kill(self.process(name)["pid"], signal.SIGKILL)
        else:
            subprocess.run((self.docker, "kill", self.container(name)), check=True, capture_output=True)

    def left(self) -> list[str]:
        """Every process and container that has anything to do with this directory."""
        found = self._containers() if self.engine == "docker" else []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                known = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
                known += str((process / "cwd").readlink()).encode()
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if str(self.root).encode() in known and state != "Z" and int(process.name) != os.getpid():
                found.append(f"{process.name} {(process / 'cmdline').read_bytes()!r}")
        return found

    def close(self) -> None:
        """End what a test has left, and remove its images and volumes."""
        self.run("down")
        for terminal in self.terminals:
            terminal.kill()
            terminal.communicate(timeout=PATIENCE_S)
        if self.engine == "docker":
            images = self._named("images", "--format", "{{.Repository}}:{{.Tag}}")
            subprocess.run((self.docker, "rmi", "--force", *images), capture_output=True)
            volumes = self._named("volume", "ls", "--format", "{{.Name}}")
            subprocess.run((self.docker, "volume", "rm", *volumes), capture_output=True)

    def _containers(self) -> list[str]:
        containers = self._named("ps", "--all", "--filter", f"label={LABEL}", "--format", "{{.Names}}")
        return [*containers, *self._named("network", "ls", "--format", "{{.Name}}")]

    def _named(self, *command: str) -> list[str]:
        """What the engine lists with this directory's digest in its name."""
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:6]
        listed = subprocess.run((self.docker, *command), capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if digest in line]


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
