"""The MCP servers of a running stack: what their checks say, the agent's relay, a sidecar's own relay.

In: the document of /readyz, and /healthz of each sidecar that answers. Out: one value a server.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.local import probes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.local.state import Stack

_CHECK = "mcp:"
_PROCESS = "mcp-"


@dataclass(frozen=True, slots=True)
class Server:
    """One MCP server. `restarts` is None where nobody here can know it: of a service. Times: epoch, s."""

    name: str
    shape: str
    state: str
    since: float
    protocol: str | None
    restarts: int | None
    last_error: str | None
    last_error_at: float | None
    optional: bool
    pid: int | None


async def ask_sidecars(stack: Stack, client: probes.Client) -> dict[str, dict[str, Any]]:
    """What the relay in each sidecar says of its server, by the server's name."""
    sidecars = [process for process in stack.processes if process.name.startswith(_PROCESS)]
    answers = await asyncio.gather(
        *(probes.health(process.address.removesuffix("/mcp"), client) for process in sidecars)
    )
    return {
        process.name.removeprefix(_PROCESS): answer["server"]
        for process, answer in zip(sidecars, answers, strict=True)
        if answer and "server" in answer
    }


def list_servers(
    readiness: Mapping[str, Any] | None, sidecars: Mapping[str, Mapping[str, Any]]
) -> list[Server]:
    checks = readiness["checks"] if readiness else {}
    return [
        _server(name.removeprefix(_CHECK), check, sidecars.get(name.removeprefix(_CHECK)))
        for name, check in checks.items()
        if name.startswith(_CHECK)
    ]


def _server(name: str, check: Mapping[str, Any], sidecar: Mapping[str, Any] | None) -> Server:
    # A relay sees at once what a check believes after three failures; but only the check asks one that hangs.
    seen = sidecar or check["server"]
    nearest = seen if check["state"] == "up" else check
    error, at = seen["last_error"], seen["last_error_at"]
    if check["state"] == "down" and not error:
        error = check["last_error"]
    near = sidecar or check
    return Server(
        name=name,
        shape=check["shape"],
        state=nearest["state"],
        since=nearest["since"],
        protocol=near["protocol"],
        restarts=near["restarts"] if sidecar or check["shape"] == "inside" else None,
        last_error=error,
        last_error_at=at,
        optional=check.get("required") is False,
        pid=near["pid"],
    )
