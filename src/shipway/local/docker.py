"""The container engine of this machine: whether it answers, and what a stack has left in it.

In: this machine's environment. Out: `Docker`; StackError in plain words where there is none that can run a
stack. An engine on another machine cannot: it mounts no directory of ours and publishes no port here.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

from shipway.errors import StackError
from shipway.local.plan import ADMIN_TOKEN, STATE, Docker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shipway.local.plan import Containers

_LEFT = "containers.json"
"""Below .shipway while there may be containers: the commands that remove them."""
_FIX = "start it, or use --engine processes"


def find(patience_s: float) -> Docker:
    """The engine that Docker's own program talks to, by DOCKER_HOST or its context.

    Raises StackError, also for one that has not answered after `patience_s` seconds.
    """
    program = shutil.which("docker")
    if program is None:
        raise StackError("docker is not on PATH", "install it, or use --engine processes")
    deadline = time.monotonic() + patience_s

    def ask(*arguments: str) -> str:
        try:
            return _ask(program, *arguments, timeout_s=deadline - time.monotonic())
        except subprocess.TimeoutExpired:
            raise StackError(f"Docker does not answer within {patience_s:g} s", _FIX) from None

    where = ask("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    if where and not where.startswith(("unix://", "npipe://", "fd://")):
        raise StackError(
            f"Docker's engine is on another machine, {where}: it cannot mount this project's directories",
            "use an engine of this machine (DOCKER_HOST, docker context use), or --engine processes",
        )
    info: dict[str, Any] = json.loads(ask("info", "--format", "{{json .}}"))
    if errors := info.get("ServerErrors"):
        raise _silent(errors[0])
    if not info.get("ServerVersion"):
        raise _silent("something else is called docker")
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())
    # Without root, the engine's root is this user.
    user = "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"
    return Docker(program, user, secrets.token_urlsafe(32))


def _ask(program: str, *arguments: str, timeout_s: float) -> str:
    done = subprocess.run(
        (program, *arguments), capture_output=True, text=True, check=False, timeout=timeout_s
    )
    if done.returncode:
        raise _silent(done.stderr)
    return done.stdout.strip()


def _silent(said: str) -> StackError:
    """In one line, and without the request that the program names after its reason."""
    reason = " ".join(said.partition(': Get "')[0].split())
    return StackError(f"Docker does not answer: {reason or 'no reason given'}", _FIX)


def make_network(containers: Containers, label: str) -> None:
    """The stack's network, unless it is there. Raises StackError."""
    command = (containers.program, "network", "create", "--label", label, containers.network)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "already exists" not in done.stderr:
        raise StackError(f"Docker made no network: {done.stderr.strip()}", "docker network prune may help")


# -- What may be left ----------------------------------------------------------------------------------------


def remember(root: Path, removal: Sequence[Sequence[str]]) -> None:
    """From here on there may be containers: whoever comes next can remove them."""
    (root / STATE / _LEFT).write_text(json.dumps(removal))


def remove_left(root: Path) -> bool:
    """Remove what a stack of this directory has in the engine, whoever started it. True if there was any."""
    left = root / STATE / _LEFT
    try:
        commands: list[list[str]] = json.loads(left.read_text())
    except (OSError, ValueError):
        return False
    for command in commands:
        subprocess.run(command, capture_output=True, check=False)
    left.unlink(missing_ok=True)
    (root / STATE / ADMIN_TOKEN).unlink(missing_ok=True)
    return True
