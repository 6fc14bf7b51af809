"""Everyone who talks through one server process: what each of them hears, and what the server knows of them.

In: notifications and questions of the server. Out: messages for sessions, streams and requests under way.
Over stdio a log message names no request: it goes to those whose requests are under way, and to everybody
who listens when there are none. What the clients want to hear (a log level, subscriptions) is told to each
new process again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from ..eras import SUBSCRIPTION
from ..messages import INVALID_PARAMS, METHOD_NOT_FOUND, Json, RpcError, meta_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .delivery import Delivery
    from .server import StdioServer
    from .sessions import Session

Ask = Callable[[str, Json | None], Awaitable[Json]]

LOG = "notifications/message"
UPDATED = "notifications/resources/updated"
_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class Ear(Protocol):
    """A stream that is open for what a server says on its own."""

    uris: set[str]

    def hears(self, message: Json) -> bool: ...

    def post(self, message: Json) -> None: ...

    def hang_up(self) -> None: ...


class Audience:
    """The Client of one process (`link.Client`). `ask`: how to ask its only client; None for many."""

    def __init__(self, ask: Ask | None = None) -> None:
        self.ask = ask
        self.ears: dict[Ear, None] = {}
        self.deliveries: dict[Delivery, Session | None] = {}

    # -- What the server says ----------------------------------------------------------------------------

    def notified(self, message: Json) -> None:
        message = _without_subscription(message)
        if message["method"] == LOG and self.deliveries:
            self._log(message)
            return
        for ear in self.ears:
            if ear.hears(message):
                ear.post(message)

    def _log(self, message: Json) -> None:
        told: set[Session] = set()
        for delivery, session in reversed(self.deliveries.items()):
            if session is None:
                if delivery.level and severe(message, delivery.level):
                    delivery.post(message)
            elif session not in told and session.hears(message):
                told.add(session)
                if not delivery.post(message):
                    session.post(message)

    async def asked(self, method: str, params: Json | None) -> Json:
        if self.ask is None:
            raise RpcError(METHOD_NOT_FOUND, f"{method}: the client did not say that it can be asked")
        return await self.ask(method, params)

    # -- What it is told ---------------------------------------------------------------------------------

    @property
    def uris(self) -> set[str]:
        """The resources that anybody wants to hear of."""
        return set().union(*(ear.uris for ear in self.ears))

    @property
    def level(self) -> str | None:
        """The lowest log level that anybody asked for."""
        return min((level for level in self._levels() if level in _LEVELS), key=_LEVELS.index, default=None)

    def _levels(self) -> Iterator[str | None]:
        yield from (getattr(ear, "level", None) for ear in self.ears)
        yield from (delivery.level for delivery in self.deliveries)

    def wishes(self, *, modern: bool) -> list[tuple[str, Json]]:
        """Requests that tell a new process all of it."""
        if modern:
            changes = {f"{kind}ListChanged": True for kind in ("tools", "prompts", "resources")}
            uris = {"resourceSubscriptions": sorted(self.uris)} if self.uris else {}
            return [("subscriptions/listen", {"notifications": changes | uris})]
        level = [("logging/setLevel", {"level": self.level})] if self.level else []
        return [*level, *(("resources/subscribe", {"uri": uri}) for uri in sorted(self.uris))]


async def wish(server: StdioServer, audience: Audience, session: Session, method: str, params: Json) -> Json:
    """Change what a session wants to hear; the server is told when that changes what it has to say."""
    before, level, uris = (audience.uris, audience.level), session.level, set(session.uris)
    if method == "logging/setLevel":
        if (asked := params.get("level")) not in _LEVELS:
            raise RpcError(INVALID_PARAMS, f"expected a level out of {', '.join(_LEVELS)}, saw {asked!r}")
        session.level = asked
        told: Json = {"level": audience.level}
    else:
        (session.uris.add if method == "resources/subscribe" else session.uris.discard)(
            str(params.get("uri"))
        )
        told = params
    if (audience.uris, audience.level) == before:
        return {"result": {}}
    answer = await server.wish(method, told)
    if "error" in answer:
        session.level, session.uris = level, uris
    return answer


def severe(message: Json, level: str | None) -> bool:
    """Whether a log message is at least as severe as `level`; all are without one."""
    said = (message.get("params") or {}).get("level")
    if level not in _LEVELS or said not in _LEVELS:
        return True
    return _LEVELS.index(said) >= _LEVELS.index(level)


def concerns(message: Json, uris: set[str]) -> bool:
    """Whether an update is of one of these resources, or of something below it."""
    uri = str((message.get("params") or {}).get("uri"))
    return any(uri == known or uri.startswith(known.rstrip("/") + "/") for known in uris)


def _without_subscription(message: Json) -> Json:
    """A modern server names the relay's own subscription, which no client knows."""
    if SUBSCRIPTION not in (meta := meta_of(message.get("params"))):
        return message
    kept = {key: value for key, value in meta.items() if key != SUBSCRIPTION}
    rest = {key: value for key, value in message["params"].items() if key != "_meta"}
    return {**message, "params": rest | ({"_meta": kept} if kept else {})}
