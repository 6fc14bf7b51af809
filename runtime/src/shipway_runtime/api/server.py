"""The API port's server: a uvicorn.Server that follows the drain.

In: an ASGI application, a bound socket, the drain. Out: `serve` returns once everything in flight has
finished or was stopped. It goes on accepting while load balancers take notice; uvicorn itself closes its
listener at once, waits for streams without a bound, and for an application's own shutdown likewise.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

import uvicorn

from ..contract import REVISION_HEADER
from ..errors import StartError
from ..telemetry import log
from .farewell import Farewell, stop_listening
from .protocol import Bounded

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from ..adapters.kinds import AsgiApp
    from ..drain import Drain
    from ..turns import Turns

TICK_S = 0.05
CLOSE = (b"connection", b"close")
FLUSH_S = 1.0  # for the last event of a stopped stream to leave
LIFESPAN_S = 5.0
KEEP_ALIVE_S = 75  # longer than the idle timeout of common load balancers, which reuse connections


def configure(app: AsgiApp, revision: str) -> uvicorn.Config:
    """uvicorn's settings: no logs of its own, and the revision on every answer."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=Bounded,
        proxy_headers=False,  # who a request comes from is who connected: see auth/proxies.py
        headers=[(REVISION_HEADER, revision)],
        timeout_keep_alive=KEEP_ALIVE_S,
    )


class Server(uvicorn.Server):
    """Serves one application. `turns` is None where the application is the user's own."""

    def __init__(
        self, config: uvicorn.Config, drain: Drain, turns: Turns | None, on_started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._drain, self._turns, self._on_started = drain, turns, on_started
        self._told: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: uvicorn's handlers would close the port at once, and raise them again."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        with contextlib.suppress(SystemExit):  # how newer versions say that the lifespan failed
            await super().startup(sockets)
        if not self.started:
            raise StartError("the application's own startup failed; its log lines above say why")
        self._on_started()

    async def on_tick(self, counter: int) -> bool:
        if self._drain.draining and self._told is None:
            self._told = asyncio.create_task(self._tell())
        self.should_exit = not self._drain.accepting()
        return await super().on_tick(counter)

    async def _tell(self) -> None:
        log.info(
            "draining: %d requests in flight, accepting for %g s more, all done within %g s",
            *(len(self.server_state.tasks), self._drain.delay_s, self._drain.grace_s),
        )
        # Clients that keep connections alive open their next one elsewhere.
        self.config.encoded_headers.append(CLOSE)
        self.server_state.default_headers.append(CLOSE)
        if self._turns is not None:
            await self._turns.tell_draining()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._drain.closing = True
        await stop_listening(self.servers, sockets or [], self._protocol)
        farewell = Farewell()
        while self._drain.remaining() > 0 and not await self._all_gone(farewell, within_s=TICK_S):
            pass
        if self._under_way():
            await self._end_late(farewell)
        farewell.close()
        try:
            async with asyncio.timeout(LIFESPAN_S):
                await self.lifespan.shutdown()
        except TimeoutError:
            log.error("the application's own shutdown took more than %g s; left behind", LIFESPAN_S)

    def _protocol(self) -> asyncio.Protocol:
        kind: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _under_way(self) -> int:
        return max(len(self.server_state.tasks), len(self.server_state.connections))

    async def _all_gone(self, farewell: Farewell, *, within_s: float) -> bool:
        """Close what may be closed; whether nothing is left."""
        end = time.monotonic() + within_s
        while True:
            farewell.release(list(self.server_state.connections))
            gone = not self._under_way() and farewell.done(self.server_state.connections)
            if gone or time.monotonic() >= end:
                return gone
            await asyncio.sleep(min(TICK_S, within_s))

    async def _end_late(self, farewell: Farewell) -> None:
        log.warning("%d requests did not finish in time and are stopped", self._under_way())
        logging.getLogger("uvicorn.error").addFilter(_tells_news)
        if self._turns is not None:
            self._turns.stop_all()
        if await self._all_gone(farewell, within_s=FLUSH_S):
            return
        for task in self.server_state.tasks:  # the user's own application, or an agent that does not stop
            task.cancel()
        if not await self._all_gone(farewell, within_s=FLUSH_S):
            for connection in list(self.server_state.connections):  # clients that do not read
                connection.transport.abort()


def _tells_news(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's says more than that a request was stopped, which was said already."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
