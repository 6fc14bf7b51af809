"""One MCP server process: started with exactly the environment it may see, and never left behind.

In: an argument vector and an environment. Out: lines of its stdout; its stderr goes to the log. It runs in
a process group of its own, which is ended as a whole, and the kernel ends it when the runtime is killed
(Linux).
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

from .framing import Line, LineSplitter
from .messages import MAX_MESSAGE, NotSent, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

log = logging.getLogger("shipway.relay")

_CHUNK = 2**16
_EOF_GRACE = 2.0  # seconds to end after stdin is closed, before SIGTERM
_LOG_LINE = 4096  # bytes of one stderr line
_SIGNALS = frozenset(signal.Signals)
_LOG_RATE = 100  # stderr lines a second


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

    def __init__(self, name: str, transport: asyncio.SubprocessTransport, protocol: _Protocol) -> None:
        self.name = name
        self.last_words = ""
        self._transport = transport
        self._process = Process(transport, protocol, asyncio.get_running_loop())
        self._exited = protocol.exited
        self.pid = self._process.pid
        self._stderr = asyncio.create_task(self._forward_stderr())

    @classmethod
    async def spawn(cls, name: str, command: Sequence[str], env: Mapping[str, str]) -> Child:
        """Start the server. Raises OSError when the command cannot be run."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: _Protocol(limit=_CHUNK, loop=loop),
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=env,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        return cls(name, transport, protocol)

    async def lines(self) -> AsyncIterator[Line]:
        """What the server writes to stdout, line by line, until it closes it."""
        assert self._process.stdout
        splitter = LineSplitter(MAX_MESSAGE)
        while chunk := await self._process.stdout.read(_CHUNK):
            for line in splitter.feed(chunk):
                yield line

    def write(self, message: bytes) -> None:
        """Queue one message for the server's stdin. Raises NotSent, or Unavailable when none is read."""
        assert self._process.stdin
        if self._process.stdin.is_closing():
            raise NotSent(f"MCP server {self.name!r} has closed its input")
        if self._process.stdin.transport.get_write_buffer_size() > MAX_MESSAGE:
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
        """Close stdin, then SIGTERM, then SIGKILL to the whole group, within `grace` seconds and a little.

        Returns how it ended, in words.
        """
        assert self._process.stdin
        self._process.stdin.close()
        patience = min(grace / 2, _EOF_GRACE)
        if not await self._exits_within(patience):
            self._signal(signal.SIGTERM)
            await self._exits_within(grace - patience)
        self._signal(signal.SIGKILL)  # also what the server started and left behind
        await self._exits_within(5.0)
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

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _describe_end(self) -> str:
        code = self._process.returncode
        if code is None:
            end = "did not end after SIGKILL"
        elif code < 0:
            end = f"was ended by {signal.Signals(-code).name if -code in _SIGNALS else -code}"
        else:
            end = f"exited with code {code}"
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
        if nth > _LOG_RATE or not line.text:
            return
        self.last_words = line.text.decode(errors="replace")[:300]
        log.info("[%s] %s%s", self.name, line.text.decode(errors="replace"), " …" if line.cut else "")


def _die_with_parent() -> Callable[[], None] | None:
    """A function for the child, between fork and exec: the kernel kills it when the thread that forked ends.

    Everything is looked up here, in the parent; in the child an import could wait for a lock for ever.
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
