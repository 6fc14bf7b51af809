"""What the relay can put behind /mcp/NAME, and the state it tells about it: as a value and as log lines."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from .calls import Calls
    from .exchange import Reply, Request

log = logging.getLogger("shipway.mcp")


@dataclass(frozen=True, slots=True)
class ServerState:
    """One MCP server as the relay last saw it.

    `since` and `last_error_at`: seconds since the epoch; `restarts`: starts after the first; `protocol`: the
    MCP version in use, None while unknown; `pid`: of an inside server's process while it has one.
    """

    name: str
    shape: Literal["inside", "sidecar", "service"]
    optional: bool = False
    state: Literal["starting", "up", "down"] = "starting"
    since: float = field(default_factory=time.time)
    last_error: str | None = None
    last_error_at: float | None = None
    restarts: int = 0
    protocol: str | None = None
    pid: int | None = None

    def become(self, state: Literal["starting", "up", "down"], error: str | None = None) -> ServerState:
        """This state, moved on; `since` stays while the word does, and the last error until the next one."""
        now = time.time()
        since = self.since if state == self.state else now
        if not error:
            return replace(self, state=state, since=since)
        return replace(self, state=state, since=since, last_error=error, last_error_at=now)


def log_change(before: ServerState, after: ServerState, note: str = "") -> None:
    """One line when a server has come up or gone down. `note` says what happens next."""
    if after.state in (before.state, "starting"):
        return
    fields = {"server": after.name, "shape": after.shape, "state": after.state, "restarts": after.restarts}
    fields |= {"protocol": after.protocol} if after.protocol else {}
    if after.state == "up":
        protocol = f", MCP {after.protocol}" if after.protocol else ""
        log.info("%s is up%s", after.name, protocol, extra=fields)
    else:
        fields |= {"error": after.last_error}
        text = f"{after.last_error}; {note}" if note else after.last_error
        log.warning("%s is down: %s", after.name, text, extra=fields)


class Backend(Protocol):
    """One MCP server behind the relay."""

    @property
    def calls(self) -> Calls: ...

    @property
    def state(self) -> ServerState: ...

    async def start(self) -> None:
        """Begin; never raises because the server does not."""

    async def close(self, grace: float) -> None:
        """End within about `grace` seconds."""

    async def probe(self) -> str | None:
        """None when the server answers, else the reason in words; within two seconds."""

    async def handle(self, request: Request) -> Reply:
        """One HTTP request. Raises RpcError or Refused for what has no message id to answer to."""
