"""The relay's own side of remains.py: a small process that outlives a killed relay, and what is told to it.

In: the servers that are started and ended. Out: no server's process that outlives this one, whatever ends it.
As process 1 of a container there is no watcher: with process 1 the kernel ends all others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from typing import TYPE_CHECKING

from . import remains

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("shipway.relay")

_PAUSE = 1.0  # seconds before a watcher that was ended is replaced
_PATIENCE = 5.0


class Watcher:
    """Start it before the servers, close it after them."""

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None
        self._servers: set[int] = set()
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        if os.getpid() != 1 and sys.executable:
            self._pipe = os.pipe()  # both ends stay open here: nobody who writes ever gets SIGPIPE
            os.set_blocking(self._pipe[1], False)
            self._keeper = asyncio.create_task(self._keep(self._pipe[0]))

    def announcement(self) -> Callable[[], None] | None:
        """For a child between fork and exec: it is known before it can start anything."""
        if self._pipe is None:
            return None
        pipe, write, getpid = self._pipe[1], os.write, os.getpid

        def announce() -> None:
            try:  # noqa: SIM105 - nothing is called in between that could wait for a lock
                write(pipe, b"+%d\n" % getpid())
            except OSError:
                pass

        return announce

    def started(self, pid: int) -> None:
        """For a watcher that has to be replaced; the first one has heard it from the server's process."""
        self._servers.add(pid)

    def ended(self, pid: int) -> None:
        """Whatever a server has left behind, the watcher may end now."""
        self._servers.discard(pid)
        self._tell(b"-%d\n" % pid)

    async def close(self) -> None:
        if self._pipe is None or self._keeper is None:
            return
        self._keeper.cancel()
        await asyncio.wait({self._keeper})
        reading, writing = self._pipe
        self._pipe = None
        os.close(writing)
        if self._process:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _PATIENCE)
        os.close(reading)

    async def _keep(self, reading: int) -> None:
        while True:
            try:
                self._process = await _start(reading)
            except OSError as error:
                log.warning("no watcher: processes of MCP servers may outlive a kill: %s", error)
                return
            await self._process.wait()
            log.warning("the watcher of MCP servers was ended; starting another")
            await asyncio.sleep(_PAUSE)
            for pid in self._servers:
                self._tell(b"+%d\n" % pid)

    def _tell(self, line: bytes) -> None:
        if self._pipe:
            with contextlib.suppress(OSError):
                os.write(self._pipe[1], line)


async def _start(reading: int) -> Process:
    words = [sys.executable, "-I", "-S", remains.__file__, str(os.getpid())]
    loader = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *words, stdin=reading, stdout=DEVNULL, stderr=DEVNULL, env=loader, start_new_session=True
    )
