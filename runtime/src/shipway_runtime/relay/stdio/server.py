"""A stdio server that is kept running: started, introduced, restarted with backoff, ended.

In: a command, an environment, calls. Out: answers within the server's timeout, whatever happens to it. One
task owns the process through all of its lives; a call in flight when it ends fails at once and is not
repeated, because a tool may have acted; the next call waits for the new process. A process that says nothing
for as long as a call may take, and does not answer a ping either, hangs: it is ended and started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ..backend import ServerState, log_change
from ..eras import Era, Peer, envelope, to_client, to_server
from ..messages import TIMED_OUT, Exhausted, Json, NotSent, RpcError, Unavailable
from ..slots import Slots
from .child import Child
from .link import Link, Notify
from .liveness import Liveness
from .opening import Opening, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from ...contract import McpServer
    from .audience import Audience
    from .watcher import Watcher

log = logging.getLogger("shipway.relay")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds between two starts, doubling
_STABLE = 10.0  # a server that lived this long starts again without a pause
_HOPELESS = 3  # starts in a row that never came up: callers are told at once
_START_TIMEOUT = 60.0
_CRASH_GRACE = 1.0  # for a server that closed its stdout and lives on, or hangs


class MissingSecret(Exception):
    """A secret that the server is to be given is not there (yet)."""


class StdioServer:
    """One server process at a time. `environment` is called at each start, so that rotated secrets arrive.

    `features`: what the server may ask of its only client. `refused`: it takes no such client.
    """

    def __init__(
        self,
        server: McpServer,
        environment: Callable[[], Mapping[str, str]],
        audience: Audience,
        watcher: Watcher | None = None,
        features: Json | None = None,
    ) -> None:
        self._watcher = watcher
        self.state = ServerState(server.name, server.shape, optional=server.optional)
        self._server = server
        self._environment = environment
        self._audience = audience
        self._opening = Opening("legacy" if features else "modern", features or {})
        self._slots = Slots(server.name, server.concurrency, server.timeout_s)
        self._link: Link | None = None
        self._peer: Peer | None = None
        self._changed = asyncio.Event()
        self._failed_starts = 0
        self.refused = False
        self._life: Liveness | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None
        self._owner: asyncio.Task[None] | None = None
        self._grace = _CRASH_GRACE

    async def start(self) -> None:
        self._owner = asyncio.create_task(self._keep_running())

    async def close(self, grace: float) -> None:
        self._grace = grace
        self._failed_starts = _HOPELESS
        self.state = self.state.become("down", "the relay is closing")
        self._wake()
        if self._owner:
            self._owner.cancel()
            await asyncio.wait({self._owner})
        self.state = replace(self.state, pid=None)

    # -- Calls -------------------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        params: Json | None,
        era: Era,
        progress: Notify | None = None,
        meta: Json | None = None,
    ) -> Json:
        """An object with `result` or `error`, in the caller's world. Raises Unavailable, in time.

        `meta`: the envelope of a legacy caller, for a modern server, which gets one with each call.
        """
        try:
            async with self._slots.one():
                return await self._call(method, params, era, progress, meta)
        except Exhausted as error:
            if error.code == TIMED_OUT and self._life:
                self._begin(self._life.examine())
            raise

    async def _call(
        self, method: str, params: Json | None, era: Era, progress: Notify | None, meta: Json | None
    ) -> Json:
        while True:
            link, peer = await self._ready()
            if method == "ping" and peer.era == "modern":
                return {"result": {}}
            try:
                answer = await link.request(method, to_server(params, era, peer.era, meta), progress)
            except NotSent:
                if link is self._link:  # its end is about to be noticed
                    await self._changed.wait()
                continue
            if "result" not in answer:
                return {"error": answer.get("error")}
            return {"result": to_client(answer["result"], method, era, peer.era)}

    async def wish(self, method: str, params: Json) -> Json:
        """Tell the server of a change in what its audience wants to hear: an object as `call` gives it."""
        if (await self.introduce()).era == "legacy":
            return await self.call(method, params, "legacy")
        if self._link and method != "logging/setLevel":  # the level is in each call's envelope
            await self._settle(self._link, "modern")
        return {"result": {}}

    def notify(self, method: str, params: Json | None) -> None:
        """Pass a notification on, when there is a server to hear it."""
        if self._link and self._peer:
            self._link.notify(method, params)

    async def introduce(self) -> Peer:
        """The server's introduction, once it has come up. Raises Unavailable, in time."""
        async with self._slots.one():
            return (await self._ready())[1]

    async def probe(self) -> str | None:
        """None when the server answers, else the reason in words; within two seconds."""
        if self._life is None:
            return self.state.last_error or "is starting"
        return await self._life.probe()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _ready(self) -> tuple[Link, Peer]:
        while not (self._link and self._peer):
            if self._failed_starts >= _HOPELESS:
                raise Unavailable(f"MCP server {self._server.name!r} is down: {self.state.last_error}")
            await self._changed.wait()
        return self._link, self._peer

    # -- Lives -------------------------------------------------------------------------------------------

    async def _keep_running(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            self._become("starting")
            try:
                reason = await self._live()
            except (OSError, MissingSecret, RpcError, TimeoutError) as error:
                reason = _describe(error, self._server.command)
            except Exception as error:  # a start that fails in a new way must not end the trying
                log.exception("[%s] cannot be started", self._server.name)
                reason = f"cannot be started: {error}"
            if not self._peer:
                self._failed_starts += 1
            self._peer = None
            self.state = replace(self.state, pid=None, restarts=self.state.restarts + 1)
            pause = _FIRST_PAUSE if time.monotonic() - began >= _STABLE else pause
            self._become("down", reason, f"starting it again in {pause:.1f} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _live(self) -> str:
        """One life, from start to end. Returns how it ended; raises what kept it from coming up."""
        child = await Child.spawn(self._server, self._environment(), self._watcher)
        self.state = replace(self.state, pid=child.pid)
        self._link = Link(child, self._audience)
        reader = asyncio.create_task(self._link.read())
        exited = asyncio.create_task(child.exited())
        life, again = None, False
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                peer = await self._opening.open(self._link)
                await self._settle(self._link, peer.era)
            life = self._life = Liveness(self._link, peer.era, self._server.timeout_s)
            self._come_up(peer)
            ends: set[asyncio.Future[Any]] = {reader, exited, life.hung}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except Unavailable:
            again = self._opening.failed()  # it ended before it came up; how it ended says more
        except Refused:
            self.refused, self._failed_starts = True, _HOPELESS
            raise
        finally:
            self._link = self._life = None  # from here on callers wait for the next one
            for task in self._tasks:
                task.cancel()
            try:
                reason = await _uninterrupted(child.end(self._grace))
            finally:
                reader.cancel()
                exited.cancel()
                await asyncio.wait({reader, exited})
        if again:
            log.info("[%s] %s: it is started again and asked to initialize first", self._server.name, reason)
            return await self._live()
        return f"hung: it {life.hung.result()}, and was ended" if life and life.hung.done() else reason

    def _come_up(self, peer: Peer) -> None:
        self._peer = peer
        self._failed_starts = 0
        self.state = replace(self.state, protocol=peer.version)
        self._become("up")

    async def _settle(self, link: Link, era: Era) -> None:
        """Tell a process what its audience wants to hear. A refusal is no reason to do without the server."""
        if self._listening:
            self._listening.cancel()
        for method, params in self._audience.wishes(modern=era == "modern"):
            if era == "modern":  # a request that stays open
                self._listening = self._begin(_listen(link, method, {**params, "_meta": envelope()}))
            else:
                await link.request(method, params)

    def _become(
        self, state: Literal["starting", "up", "down"], error: str | None = None, note: str = ""
    ) -> None:
        before, self.state = self.state, self.state.become(state, error)
        log_change(before, self.state, note)
        self._wake()

    def _wake(self) -> None:
        """Let everybody who waits for the server look again."""
        self._changed.set()
        self._changed = asyncio.Event()


async def _listen(link: Link, method: str, params: Json) -> None:
    with contextlib.suppress(RpcError):  # it ends with the process, and the next one is told again
        await link.request(method, params)


async def _uninterrupted(work: Coroutine[Any, Any, str]) -> str:
    """The result of `work`, which goes on to its end when the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _describe(error: Exception, command: tuple[str, ...]) -> str:
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return f"cannot run {command[0] if command else 'an empty command'!r}: {error.strerror or error}"
    if isinstance(error, TimeoutError):
        return f"did not answer initialize within {_START_TIMEOUT:g} s"
    return str(error)
