"""What the relay can put behind /mcp/NAME, and the state it tells about it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from .exchange import Reply, Request


@dataclass(frozen=True, slots=True)
class ServerState:
    """One MCP server as the relay last saw it.

    `since`: seconds since the epoch; `restarts`: starts after the first; `protocol`: the MCP version in use,
    None while unknown; `pid`: of an inside server's process while it has one.
    """

    name: str
    shape: Literal["inside", "sidecar", "service"]
    optional: bool = False
    state: Literal["starting", "up", "down"] = "starting"
    since: float = field(default_factory=time.time)
    last_error: str | None = None
    restarts: int = 0
    protocol: str | None = None
    pid: int | None = None

    def become(self, state: Literal["starting", "up", "down"], error: str | None = None) -> ServerState:
        """This state, moved on; `since` stays while the word does, and the last error until the next one."""
        since = self.since if state == self.state else time.time()
        return replace(self, state=state, since=since, last_error=error or self.last_error)


class Backend(Protocol):
    """One MCP server behind the relay."""

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
