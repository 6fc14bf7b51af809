"""One MCP server process: started with exactly the environment it may see, and never left behind.

In: a server's command and limits, an environment. Out: lines of its stdout; its stderr goes to the log. It
leads a session of its own, which is ended as a whole whatever process groups are in it. When the runtime is
killed, the kernel ends the server (Linux) and a watcher what the server has started.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from typing import TYPE_CHECKING

from ..framing import Line, LineSplitter
from ..messages import NotSent, Unavailable
from . import limits, remains

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ...contract import McpServer
    from .watcher import Watcher

log = logging.getLogger("shipway.relay")

_CHUNK = 2**16
_EOF_GRACE = 2.0  # seconds to end after stdin is closed, before SIGTERM
_LOG_LINE = 4096  # bytes of one stderr line
_SIGNALS = frozenset(signal.Signals)
_BACKLOG = 16_000_000  # bytes of small messages that a server has not read, beside the largest two
_LOG_RATE = 100  # stderr lines a second
_KILL_ROUNDS, _KILL_PAUSE = 50, 0.02  # what is being ended may still start something


class _Protocol(SubprocessStreamProtocol):
    """Also tells of the exit alone: `Process.wait` waits for the pipes too, which a grandchild may hold."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class Child:
    """A running server. Make one with `Child.spawn`; end it with `end`, always."""

    def __init__(
        self,
        server: McpServer,
        transport: asyncio.SubprocessTransport,
        protocol: _Protocol,
        watcher: Watcher | None = None,
    ) -> None:
        self.name = server.name
        self.last_words = ""
        self._limit, self._memory = server.message_limit, server.memory
        self._short_of_memory = False
        self._transport = transport
        self._process = Process(transport, protocol, asyncio.get_running_loop())
        self._exited = protocol.exited
        self.pid = self._process.pid
        self._itself = {self.pid: remains.started(self.pid)}
        self._watcher = watcher
        if watcher:
            watcher.started(self.pid)
        self._stderr = asyncio.create_task(self._forward_stderr())

    @classmethod
    async def spawn(cls, server: McpServer, env: Mapping[str, str], watcher: Watcher | None = None) -> Child:
        """Start the server within its limits. Raises OSError when the command cannot be run."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: _Protocol(limit=_CHUNK, loop=loop),
            *limits.bounded(server.command, server.memory),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=env,
            start_new_session=True,
            preexec_fn=_before_exec(server, watcher),
        )
        return cls(server, transport, protocol, watcher)

    async def lines(self) -> AsyncIterator[Line]:
        """What the server writes to stdout, line by line, until it closes it."""
        assert self._process.stdout
        splitter = LineSplitter(self._limit)
        while chunk := await self._process.stdout.read(_CHUNK):
            for line in splitter.feed(chunk):
                yield line

    def write(self, message: bytes) -> None:
        """Queue one message for the server's stdin. Raises NotSent, or Unavailable when none is read."""
        assert self._process.stdin
        if self._process.stdin.is_closing():
            raise NotSent(f"MCP server {self.name!r} has closed its input")
        if self._process.stdin.transport.get_write_buffer_size() > 2 * self._limit + _BACKLOG:
            raise Unavailable(f"MCP server {self.name!r} does not read its input")
        self._process.stdin.write(message + b"\n")

    async def drain(self) -> None:
        """Wait until the server has read enough. A pipe that broke shows as the end of stdout instead."""
        assert self._process.stdin
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.drain()

    async def exited(self) -> None:
        """Returns when the process has ended, even while something it started still holds its stdout."""
        await self._exited.wait()

    async def end(self, grace: float) -> str:
        """Close stdin, then SIGTERM, then SIGKILL to all that belongs to it.

        Takes `grace` seconds and a little; returns how it ended, in words.
        """
        assert self._process.stdin
        seen = remains.family(self._itself)  # what is in another session cannot be told later
        self._process.stdin.close()
        patience = min(grace / 2, _EOF_GRACE)
        if not await self._exits_within(patience):
            remains.signal_family(self._itself, signal.SIGTERM)
            await self._exits_within(grace - patience)
        await self._kill(seen)
        await self._exits_within(5.0)
        if self._watcher:
            self._watcher.ended(self.pid)
        await asyncio.wait({self._stderr}, timeout=0.5)  # its last words, often the reason, are on their way
        self._stderr.cancel()
        await asyncio.wait({self._stderr})
        self._transport.close()
        return self._describe_end()

    async def _exits_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._exited.wait()
        return self._process.returncode is not None

    async def _kill(self, seen: set[remains.Known]) -> None:
        """SIGKILL to the server and what it started and left behind, until nothing is left of it."""
        for _ in range(_KILL_ROUNDS):
            if not remains.kill_round(self._itself, seen):
                return
            await asyncio.sleep(_KILL_PAUSE)

    def _describe_end(self) -> str:
        code = self._process.returncode
        if code is None:
            end = "did not end after SIGKILL"
        elif code < 0:
            end = f"was ended by {signal.Signals(-code).name if -code in _SIGNALS else -code}"
        else:
            end = f"exited with code {code}"
        if self._memory and (self._short_of_memory or limits.may_be_memory(code)):
            end = f"{end}; its memory limit is {limits.in_words(self._memory)}"
        return f"{end}; its last words: {self.last_words}" if self.last_words else end

    async def _forward_stderr(self) -> None:
        assert self._process.stderr
        splitter, second, lines = LineSplitter(_LOG_LINE), 0, 0
        while chunk := await self._process.stderr.read(_CHUNK):
            for line in splitter.feed(chunk):
                if second != (now := int(time.monotonic())):
                    if lines > _LOG_RATE:
                        log.warning("[%s] dropped %d lines of stderr", self.name, lines - _LOG_RATE)
                    second, lines = now, 0
                lines += 1
                self._log(line, lines)
        for line in splitter.end():
            self._log(line, 0)

    def _log(self, line: Line, nth: int) -> None:
        self._short_of_memory = self._short_of_memory or limits.speaks_of_memory(line.text)
        if nth > _LOG_RATE or not line.text:
            return
        self.last_words = line.text.decode(errors="replace")[:300]
        log.info("[%s] %s%s", self.name, line.text.decode(errors="replace"), " …" if line.cut else "")


def _before_exec(server: McpServer, watcher: Watcher | None) -> Callable[[], None] | None:
    """A function for the child, between fork and exec: announce it, die with the relay, keep the limit.

    Everything is looked up in the parent; in the child an import could wait for a lock for ever.
    """
    steps = (
        watcher.announcement() if watcher else None,
        _die_with_parent(),
        limits.limiter(server.command, server.memory),
    )
    wanted = tuple(step for step in steps if step)

    def prepare() -> None:
        for step in wanted:
            step()

    return prepare if wanted else None


def _die_with_parent() -> Callable[[], None] | None:
    """The kernel kills the child when the thread that forked ends: the one that runs the relay's loop.

    That is the main thread of a relay alone, and the runtime's control thread, which ends with its process.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, parent, kill = ctypes.CDLL(None).prctl, os.getpid(), int(signal.SIGKILL)
    getppid, leave = os.getppid, os._exit

    def set_death_signal() -> None:
        prctl(1, kill, 0, 0, 0)  # PR_SET_PDEATHSIG
        if getppid() != parent:
            leave(1)

    return set_death_signal
