"""The Docker engine of a machine, here or elsewhere, through Docker's own program.

In: DOCKER_HOST or a context, as everybody's docker uses them; unix://, ssh:// and tcp:// alike. Out: what it
says. Errors: StackError, in one line, with what to do. Nothing that is secret is ever an argument.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE_S = 30.0
"""For an engine to say who it is: a far one is asked through ssh."""

SOCKET = "/var/run/docker.sock"
_LOCAL = ("unix://", "npipe://", "fd://")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FULL = "no space left on device"


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers. `host` is where, `platform` what its containers run on: linux/amd64.

    `socket` is its own, as a path of its machine.
    """

    program: str
    host: str
    platform: str
    socket: str

    @property
    def is_local(self) -> bool:
        return self.host.startswith(_LOCAL)

    @property
    def machine(self) -> str:
        """The machine's name, as a user types it to get there."""
        return "localhost" if self.is_local else _host_of(self.host)

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Whatever comes of it. `given` goes to its stdin."""
        command = (self.program, *arguments)
        stdin = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
        return subprocess.run(command, capture_output=True, text=True, check=False, **stdin)

    def ask(self, *arguments: str, given: str | None = None) -> str:
        """What it answers, without the last newline. Raises StackError where it refuses."""
        done = self.run(*arguments, given=given)
        if done.returncode:
            raise refused(done.stderr)
        return done.stdout.rstrip("\n")

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """What there is of these images, containers, volumes; what is not there is left out."""
        if not names:
            return []
        done = self.run(kind, "inspect", *names)
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        if done.returncode and not any(word in done.stderr for word in ("No such", "not found")):
            raise refused(done.stderr)
        return found


def connect() -> Engine:
    """The engine that Docker's program talks to. Raises StackError where none answers, or one that cannot
    run a deployment."""
    program = shutil.which("docker")
    if program is None:
        raise StackError(
            "docker is not on PATH", "install Docker's command; the engine may be on another machine"
        )
    host = _ask(program, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    info: dict[str, Any] = json.loads(_ask(program, "info", "--format", "{{json .}}"))
    if errors := info.get("ServerErrors"):
        raise silent(errors[0])
    if not info.get("ServerVersion"):
        raise silent("something else is called docker")
    if info.get("OSType") != "linux":
        raise StackError(
            f"Docker at {host} runs {info.get('OSType')} containers", "shipway's images are for Linux"
        )
    machine = info.get("Architecture", "")
    return Engine(program, host, f"linux/{_ARCHITECTURES.get(machine, machine)}", _socket(host, info))


def refused(said: str) -> StackError:
    """What Docker's program has said, in one line."""
    words = " ".join(said.replace("Error response from daemon:", "").split()) or "no reason given"
    if _FULL in words:
        return StackError(
            f"Docker's disk is full: {words}", "make room: docker system prune, docker image prune -a"
        )
    return StackError(f"Docker refuses: {words}")


def silent(said: str) -> StackError:
    """In one line, and without the request that the program names after its reason."""
    reason = " ".join(said.partition(': Get "')[0].split())
    fix = "start it, or say where another one is: DOCKER_HOST=ssh://me@machine, or docker context use"
    return StackError(f"Docker does not answer: {reason or 'no reason given'}", fix)


def _ask(program: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            (program, *arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise silent(f"nothing within {PATIENCE_S:g} s") from None
    if done.returncode:
        raise silent(done.stderr)
    return done.stdout.strip()


def _socket(host: str, info: dict[str, Any]) -> str:
    """Rootless engines have theirs elsewhere; Docker Desktop's, on this machine, is not the one inside."""
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())
    if not rootless:
        return SOCKET
    if not host.startswith("unix://"):
        raise StackError(
            f"Docker at {host} runs without root, and only its own machine knows where its socket is",
            "run shipway deploy there",
        )
    return host.removeprefix("unix://")


def _host_of(host: str) -> str:
    name = host.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() and ":" in name else name
