"""One running process of a stack: started in a session of its own, ended with everything it started.

In: a plan's process. Out: its lines, given to a function as they come; how it ended. On Linux the kernel
tells it when the supervisor dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT
from asyncio.subprocess import Process as Child
from typing import TYPE_CHECKING

from shipway.local import tree
from shipway.local.databases import account

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.local.plan import Process

_LONGEST = 16_384  # characters of one line; the rest of it becomes the next one
_LAST_WORDS_S = 1.0  # for output that is still on its way when the process has ended


class Running:
    """A started process. Make one with `start`; `end` it, or wait for `exited`."""

    def __init__(self, plan: Process, process: Child, reading: int, line: Callable[[str], None]) -> None:
        self.plan = plan
        self.pid = process.pid
        self._process = process
        self._lines = asyncio.create_task(self._forward(reading, line))

    @classmethod
    async def start(cls, plan: Process, line: Callable[[str], None]) -> Running:
        """Start it. Raises OSError when the program cannot be run."""
        uid, gid = account(plan.user)
        # A pipe of our own: asyncio's counts a process as running while anything still holds its stdout.
        reading, writing = os.pipe()
        try:
            process = await cls._spawn(plan, writing, uid, gid)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return cls(plan, process, reading, line)

    @staticmethod
    async def _spawn(plan: Process, output: int, uid: int | None, gid: int | None) -> Child:
        return await asyncio.create_subprocess_exec(
            *plan.argv,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            env=plan.env,
            cwd=plan.cwd,
            start_new_session=True,
            preexec_fn=told_of_death(),
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )

    async def exited(self) -> str:
        """Wait for its end, and for its last words; says in words how it ended."""
        await self._process.wait()
        await asyncio.wait({self._lines}, timeout=_LAST_WORDS_S)
        self._lines.cancel()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # what it started and left behind
        code = self._process.returncode or 0
        if code < 0 and self.plan.removal:
            await _quietly(self.plan.removal)
        if code in self.plan.codes:
            return self.plan.codes[code]
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    async def end(self, hurry: asyncio.Event) -> None:
        """Its signal, then after its grace, or in a hurry, SIGKILL for it and everything below it."""
        below = tree.descendants([self.pid]) if self._process.returncode is None else set()
        if not hurry.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.Signals[self.plan.stop])
            waits = {asyncio.create_task(self._process.wait()), asyncio.create_task(hurry.wait())}
            _, pending = await asyncio.wait(
                waits, timeout=self.plan.grace_s, return_when=asyncio.FIRST_COMPLETED
            )
            for task in pending:
                task.cancel()
        below |= tree.descendants([self.pid])
        tree.end(below, signal.SIGKILL)
        await self.exited()

    async def _forward(self, reading: int, line: Callable[[str], None]) -> None:
        output = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(reading, "rb", buffering=0)
        )
        rest = b""
        try:
            while chunk := await output.read(65_536):
                *whole, rest = (rest + chunk).split(b"\n")
                for text in whole:
                    _emit(text, line)
                if len(rest) > _LONGEST:
                    _emit(rest, line)
                    rest = b""
        finally:
            transport.close()
            if rest:
                _emit(rest, line)


async def _quietly(command: tuple[str, ...]) -> None:
    """Run it to its end. It may find nothing to do, and says so to nobody."""
    with contextlib.suppress(OSError):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        await process.wait()


def _emit(text: bytes, line: Callable[[str], None]) -> None:
    decoded = text.decode(errors="replace").rstrip("\r")
    for start in range(0, max(len(decoded), 1), _LONGEST):
        line(decoded[start : start + _LONGEST])


def told_of_death() -> Callable[[], None] | None:
    """A function for the child, between fork and exec: SIGTERM when the supervisor's thread is gone.

    Everything is looked up here, in the parent; in the child an import could wait for a lock for ever.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, parent, term = ctypes.CDLL(None).prctl, os.getpid(), int(signal.SIGTERM)
    getppid, leave = os.getppid, os._exit

    def ask_to_be_told() -> None:
        prctl(1, term, 0, 0, 0)  # PR_SET_PDEATHSIG; after the change of user, which would clear it
        if getppid() != parent:
            leave(1)

    return ask_to_be_told
