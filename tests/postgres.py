"""A PostgreSQL server of the tests' own: started, stopped, killed and frozen as they like."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

BOUND_S = 30.0


def _user() -> str | None:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    return next(
        name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()}
    )


class PostgresServer:
    """`program` is postgres, with initdb and pg_isready beside it."""

    def __init__(self, program: str, port: int) -> None:
        self._programs, self.port, self._user = Path(program).resolve().parent, port, _user()
        self._place = Path(tempfile.mkdtemp(prefix="shipway-postgres-"))
        self._data = self._place / "data"
        if self._user:
            shutil.chown(self._place, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self._run(
            "initdb", "-D", self._data, "--username=postgres", "--auth=trust", "--no-sync", "-E", "UTF8"
        )
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = ("-h", "127.0.0.1", "-p", str(self.port), "-c", "unix_socket_directories=", "-F")
        self._process = subprocess.Popen(
            (self._programs / "postgres", "-D", self._data, *options),
            user=self._user,
            cwd="/",
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + BOUND_S
        ready = (self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
        while subprocess.run(ready).returncode:
            assert time.monotonic() < end, "PostgreSQL did not start"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is its fast stop: every connection is cut. Where that hangs, SIGQUIT waits for nothing."""
        if self._process and self._process.poll() is None:
            self.freeze(signal.SIGCONT)
            for number in (how, signal.SIGQUIT, signal.SIGKILL):
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(BOUND_S)
                    return

    def freeze(self, number: signal.Signals = signal.SIGSTOP) -> None:
        """Stop every process of it where it is, and SIGCONT lets them go on."""
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):  # workers come and go
                os.kill(pid, number)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._place)

    def _run(self, program: str, *arguments: object) -> None:
        command = (self._programs / program, *map(str, arguments))
        subprocess.run(command, user=self._user, cwd="/", check=True, stdout=subprocess.DEVNULL)
