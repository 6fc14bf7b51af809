"""A router on this machine: HAProxy as a process, or the embedded one in a thread of this process.

In: where users reach it, a directory for its files. Out: `Traffic`, for the time of a `with`. Errors:
RolloutError, StackError, where it does not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import uvicorn

from shipway.errors import RolloutError
from shipway.listening import bind
from shipway.local.process import told_of_death
from shipway.rollout.traffic.embedded import Embedded
from shipway.rollout.traffic.haproxy import HAProxy
from shipway.rollout.traffic.haproxy_config import Place, config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shipway.rollout.traffic.split import Traffic

START_S = 10.0
END_S = 5.0
_POLL_S = 0.02


def router(host: str, port: int, directory: Path) -> contextlib.AbstractContextManager[Traffic]:
    """HAProxy where it is on PATH, else the embedded router."""
    program = shutil.which("haproxy")
    return haproxy(program, host, port, directory) if program else embedded(host, port)


@contextlib.contextmanager
def haproxy(program: str, host: str, port: int, directory: Path) -> Iterator[HAProxy]:
    """A HAProxy of our configuration; its file and its socket are in `directory`."""
    path, file, log = (directory / f"haproxy.{end}" for end in ("sock", "cfg", "log"))
    path.unlink(missing_ok=True)
    file.write_text(config(Place(host, port, str(path))), encoding="utf-8")
    with (
        log.open("wb") as output,
        subprocess.Popen(
            (program, "-db", "-f", file),
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=told_of_death(),
        ) as process,
    ):
        try:
            _wait_for(host, port, process, log)
            yield HAProxy(str(path))
        finally:
            process.kill()  # one that is asked to stop waits for connections that are idle


@contextlib.contextmanager
def embedded(host: str, port: int) -> Iterator[Embedded]:
    """The embedded router, served by a thread."""
    listener, app = bind(host, port), Embedded()
    settings = uvicorn.Config(
        app, lifespan="off", log_level="error", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=asyncio.run, args=(_serve(server, app, listener),), name="router")
    thread.start()
    try:
        yield app
    finally:
        server.should_exit = True
        thread.join(END_S)
        listener.close()


async def _serve(server: uvicorn.Server, app: Embedded, listener: socket.socket) -> None:
    checks = asyncio.create_task(app.check())
    await server.serve([listener])
    checks.cancel()
    await app.close()


def _wait_for(host: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(_POLL_S)
    said = log.read_text(errors="replace").strip().splitlines()
    raise RolloutError(f"HAProxy does not start: {said[-1] if said else 'it says nothing'}", f"see {log}")
