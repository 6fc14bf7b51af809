"""The database servers of this machine: where they are, and their data directories.

In: the stack's services. Out: the servers that were found; data directories, made once. PostgreSQL refuses
to run as root, so root starts it as `postgres` or `nobody`. It trusts every connection, and listens on
loopback alone.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.local.plan import Installed, Setup

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.plan.stack import StackPlan


def find(stack: StackPlan, state: Path) -> dict[str, Installed]:
    """The server program of each service that has one on this machine."""
    found = {}
    for service in stack.services:
        server = _find(service.kind)
        if server:
            user = _unprivileged() if service.kind == "postgres" and os.geteuid() == 0 else None
            directory = _directory(state, service.name, user)
            found[service.name] = Installed(server, _version(server), str(directory), user)
    return found


def set_up(setup: Setup, say: Callable[[str], None]) -> None:
    """Make the data directory once. Raises StackError with what the server's own tool said."""
    directory = Path(setup.directory)
    if setup.made is None or not (directory / setup.made).exists():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if setup.user:
            shutil.chown(directory, setup.user)
    if setup.made is None or (directory / setup.made).exists():
        return
    say(f"{setup.name}: making its data directory, {directory}")
    uid, gid = account(setup.user)
    done = subprocess.run(
        setup.argv,
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ.get("PATH", os.defpath)},
    )
    if done.returncode:
        raise StackError(f"{setup.name}: {setup.argv[0]} failed:\n{(done.stderr or done.stdout).strip()}")


def account(user: str | None) -> tuple[int, int] | tuple[None, None]:
    """Numbers of a user and its group, for Popen; None leaves them as they are."""
    if user is None:
        return None, None
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _find(kind: str) -> str | None:
    if kind == "postgres":
        return _find_postgres()
    return shutil.which("redis-server") if kind == "redis" else None


def _find_postgres() -> str | None:
    """`postgres` on PATH, else the newest of Debian's; only where initdb and pg_isready lie beside it."""
    on_path = shutil.which("postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    for server in [*([Path(on_path)] if on_path else []), *reversed(debian)]:
        beside = server.resolve().parent
        if all((beside / tool).exists() for tool in ("initdb", "pg_isready")):
            return str(server.resolve())
    return None


def _version(server: str) -> str:
    """`postgres (PostgreSQL) 15.1 (…)` -> `PostgreSQL 15.1`; `Redis server v=7.0.15 …` -> `Redis 7.0.15`."""
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    name = "PostgreSQL" if "PostgreSQL" in said else "Redis"
    number = re.search(r"\d+(\.\d+)+", said)
    return f"{name} {number[0]}" if number else name


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise StackError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _directory(state: Path, name: str, user: str | None) -> Path:
    """`.shipway/services/NAME`, or a temporary place when the server's user cannot get there."""
    inside = state / "services" / name
    if user is None or all(_enters(parent, user) for parent in state.resolve().parents):
        return inside
    digest = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"shipway-{digest}", name)


def _enters(directory: Path, user: str) -> bool:
    found, entry = directory.stat(), pwd.getpwnam(user)
    if found.st_uid == entry.pw_uid:
        return bool(found.st_mode & 0o100)
    return bool(found.st_mode & (0o010 if found.st_gid == entry.pw_gid else 0o001))
