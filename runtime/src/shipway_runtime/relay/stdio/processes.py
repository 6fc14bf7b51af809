"""Which process answers whom: one for all who cannot be asked anything, others for one client each.

In: a request, and the session it belongs to. Out: the server's answer in the client's world. A client's
questions and log levels go where its requests go.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from ..eras import METHODS_OF_SESSIONS, declared_features, envelope
from ..messages import Exhausted, Json, Unavailable
from .audience import Audience, wish
from .privates import Privates
from .rounds import Rounds, ask_all, without_answers
from .server import StdioServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...contract import McpServer
    from ..eras import Peer
    from .delivery import Delivery
    from .link import Notify
    from .listens import Listen
    from .privates import Private
    from .sessions import Session
    from .watcher import Watcher

_MOST_LISTENS = 1024


class Processes:
    """All processes of one stdio server. `shared` is the one that is always there."""

    def __init__(
        self,
        server: McpServer,
        environment: Callable[[], Mapping[str, str]],
        watcher: Watcher | None,
    ) -> None:
        def make(audience: Audience, features: Json) -> StdioServer:
            return StdioServer(server, environment, audience, watcher, features)

        self._name = server.name
        self._audience = Audience()
        self.shared = make(self._audience, {})
        self._listens: set[Listen] = set()
        self._privates = Privates(server.name, make, server.concurrency)
        self._rounds = Rounds(self._privates)
        self._asks_by_rounds = False

    async def close(self, grace: float) -> None:
        for listen in self._listens:
            listen.hang_up()
        await asyncio.gather(self.shared.close(grace), self._privates.close_all(grace))

    # -- Who is there ------------------------------------------------------------------------------------

    async def join(self, session: Session) -> Peer:
        """A new client, which is told the server's introduction. Raises Unavailable."""
        if private := await self._private(session):
            return await private.server.introduce()
        self._audience.ears[session] = None
        return await self.shared.introduce()

    def leave(self, session: Session) -> None:
        self._audience.ears.pop(session, None)
        if session.private:
            self._privates.close(session.private)

    async def attach(self, listen: Listen) -> None:
        """A stream that hears of changes. Raises Exhausted, or Unavailable when the server cannot be told."""
        if len(self._listens) >= _MOST_LISTENS:
            raise Exhausted(f"MCP server {self._name!r} has {_MOST_LISTENS} open streams already")
        new = listen.uris - self._audience.uris
        self._listens.add(listen)
        self._audience.ears[listen] = None
        try:
            for uri in new:
                await self.shared.wish("resources/subscribe", {"uri": uri})
        except BaseException:
            self.detach(listen)
            raise

    def detach(self, listen: Listen) -> None:
        """Updates of what nobody listens to any more still come, and are heard by nobody."""
        self._listens.discard(listen)
        self._audience.ears.pop(listen, None)

    def notify(self, session: Session | None, message: Json) -> None:
        """Pass on what a client tells. Roots are the business of its own process alone."""
        private = session.private if session else None
        if message["method"] != "notifications/roots/list_changed" or private:
            (private.server if private else self.shared).notify(message["method"], message.get("params"))

    async def _private(self, session: Session) -> Private | None:
        """The process of a client that can be asked, started (again) when it is not there.

        None for other clients, and for all when the server asks in the modern way alone.
        """
        if not session.features or self._asks_by_rounds:
            return None
        async with session.starting:
            if session.private is None or session.private.closed:
                audience = Audience(session.ask)
                audience.ears[session] = None
                session.private = await self._privates.open(session.features, audience)
        with contextlib.suppress(Unavailable):  # whoever calls it hears why
            await session.private.server.introduce()
        if session.private.server.refused:
            self._asks_by_rounds = True
            self._privates.close(session.private)
            return None
        session.private.used = time.monotonic()
        return session.private

    # -- Requests ----------------------------------------------------------------------------------------

    async def answer(self, delivery: Delivery, session: Session | None) -> Json:
        """An object with `result` or `error`. Raises RpcError when the relay has to answer itself."""
        if session:
            if private := await self._private(session):
                return await self._run(private.server, private.audience, delivery, session)
            if session.features:
                return await ask_all(session.ask, lambda more: self._share(delivery, session, more))
            return await self._share(delivery, session)
        features = declared_features(delivery.message)
        if not features or (await self.shared.introduce()).era == "modern":
            return await self._share(delivery, None)

        async def run(private: Private, report: Notify) -> Json:
            params = without_answers(delivery.message.get("params"))
            return await private.server.call(delivery.message["method"], params, "modern", report)

        return await self._rounds.call(delivery, features, run)

    async def _share(self, delivery: Delivery, session: Session | None, more: Json | None = None) -> Json:
        return await self._run(self.shared, self._audience, delivery, session, more)

    async def _run(
        self,
        server: StdioServer,
        audience: Audience,
        delivery: Delivery,
        session: Session | None,
        more: Json | None = None,
    ) -> Json:
        method, params = delivery.message["method"], delivery.message.get("params")
        if session and method in METHODS_OF_SESSIONS - {"ping"}:
            return await wish(server, audience, session, method, params or {})
        # Only a modern client's own level can change it, and finding it looks at every session.
        before = audience.level if delivery.level else None
        audience.deliveries[delivery] = session
        try:
            if delivery.level and audience.level != before:  # it wants to see more
                await server.wish("logging/setLevel", {"level": audience.level})
            params = {**(params or {}), **more} if more else params
            meta = envelope(session.features, session.level or "debug") if session else None
            return await server.call(method, params, delivery.era, delivery.post, meta)
        finally:
            audience.deliveries.pop(delivery, None)
