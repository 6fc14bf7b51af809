"""Two replicas of an agent behind HAProxy, with their conversations in one PostgreSQL.

In: a directory. Out: a `Fleet` of real processes, whose replicas can be restarted one after another, as an
orchestrator rolls out. Nothing outlives the `with`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopback import free_port, wait

from processes import memory_mb, running

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_S = 30.0
SETTLE_S = 1.0  # for the balancer to see who is ready before the next one goes: what minReadySeconds is for
AGENT = '''
import asyncio

async def agent(messages):
    """Says how many questions there were so far, word by word: who has forgotten one says another number."""
    asked = sum(message["role"] == "user" for message in messages)
    for word in ("question", " number", f" {asked}"):
        await asyncio.sleep(0.1)
        yield word
'''
MANIFEST = """{
  "name": "fleet", "entrypoint": "agent:agent",
  "settings": {"api": {"auth": "none"}, "storage": {"path": "/data", "url_secret": "DATABASE_URL"},
               "secrets": {"DATABASE_URL": {"source": "env"}}, "health": {"grace_s": %g}}
}"""
BALANCER = """
global
    maxconn 4000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    retries 3
    option redispatch
    retry-on conn-failure
frontend api
    bind 127.0.0.1:{port}
    default_backend replicas
backend replicas
    balance leastconn
    option httpchk GET /readyz
    {servers}
"""


class Replica:
    """One process of the agent; started again it is a new one on the same ports."""

    def __init__(self, place: Path, name: str, database: str) -> None:
        self.name = name
        self.api, self.admin = free_port(), free_port()
        self._place, self._log = place, place / f"{name}.log"
        self._environ = os.environ | {
            "SHIPWAY_ENV": "prod",
            "SHIPWAY_HOST": "127.0.0.1",
            "SHIPWAY_MANIFEST": str(place / "shipway.json"),
            "SHIPWAY_SOURCE": str(place),
            "SHIPWAY_STORAGE": str(place / f"{name}-data"),
            "SHIPWAY_API_PORT": str(self.api),
            "SHIPWAY_ADMIN_PORT": str(self.admin),
            "DATABASE_URL": database,
        }
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            command = (sys.executable, "-m", "shipway_runtime")
            quiet = subprocess.DEVNULL
            return subprocess.Popen(command, cwd=self._place, env=self._environ, stdout=quiet, stderr=log)

    def wait(self) -> None:
        wait(f"http://127.0.0.1:{self.admin}/readyz")

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(GRACE_S + 20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def restart(self) -> int:
        """The exit code of the one before; returns when the new one is ready."""
        code = self.end()
        self.process = self._start()
        self.wait()
        time.sleep(SETTLE_S)
        return code

    def rss_mb(self) -> float:
        return memory_mb((self.process.pid,))[0]

    def log(self) -> str:
        return self._log.read_text(errors="replace")


@dataclass(frozen=True)
class Fleet:
    """`port` is the balancer's."""

    port: int
    replicas: Sequence[Replica]

    async def roll(self) -> list[int]:
        """Restart every replica, one after another; their exit codes."""
        return [await asyncio.to_thread(replica.restart) for replica in self.replicas]


@contextmanager
def fleet(place: Path) -> Iterator[Fleet]:
    program = shutil.which("haproxy")
    if program is None:
        raise SystemExit("haproxy is not on PATH: apt-get install haproxy")
    (place / "agent.py").write_text(AGENT)
    (place / "shipway.json").write_text(MANIFEST % GRACE_S)
    with postgres() as database, contextlib.ExitStack() as stack:
        replicas = [Replica(place, name, database) for name in ("a", "b")]
        for replica in replicas:
            stack.callback(replica.end)
            replica.wait()
        port, config = free_port(), place / "haproxy.cfg"
        servers = [
            f"server {r.name} 127.0.0.1:{r.api} check port {r.admin} inter 300ms fall 1 rise 1"
            for r in replicas
        ]
        config.write_text(BALANCER.format(port=port, servers="\n    ".join(servers)))
        stack.enter_context(running((program, "-q", "-f", str(config))))
        time.sleep(1)  # for its first checks
        yield Fleet(port, replicas)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database of a server of its own: Debian's, which root runs as `postgres`."""
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not tools:
        raise SystemExit("no PostgreSQL in /usr/lib/postgresql: apt-get install postgresql")
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        if user:
            os.chown(name, user.pw_uid, user.pw_gid)
        data = Path(name, "data")
        make = (tools[-1] / "initdb", "-D", data, "-U", "fleet", "--auth", "trust", "--no-sync")
        subprocess.run(make, check=True, cwd="/", stdout=subprocess.DEVNULL, **as_user)
        options = ("-k", "", "-h", "127.0.0.1", "-p", str(port), "-c", "max_connections=50")
        quiet = subprocess.DEVNULL
        command = (tools[-1] / "postgres", "-D", data, *options)
        with subprocess.Popen(command, cwd="/", stdout=quiet, stderr=quiet, **as_user) as server:
            try:
                asked = (tools[-1] / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port))
                while subprocess.run(asked).returncode:
                    time.sleep(0.05)
                yield f"postgresql://fleet@127.0.0.1:{port}/postgres"
            finally:
                server.send_signal(signal.SIGINT)
                server.wait(30)
