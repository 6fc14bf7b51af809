"""The relay: one loopback endpoint, /mcp/NAME, for every MCP server whatever its shape.

In: the servers of the manifest, a way to secrets, the environment. Out: an ASGI application and the
servers' states. Changing a server's shape changes what stands behind its path and nothing for the agent.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .. import contract
from .endpoint import Endpoint
from .http.credentials import Credentials
from .stdio.inside import Inside
from .stdio.limits import is_node
from .stdio.server import MissingSecret
from .stdio.watcher import Watcher

if TYPE_CHECKING:
    from prometheus_client import Metric

    from .backend import Backend, ServerState
    from .http.credentials import Renew
    from .tools import Switches

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")

Secret = Callable[[str], str | None]


class Relay:
    """Every MCP server of an agent. Start and close it on the loop that serves `app`.

    `secret` gives a secret's value, or None while it is not there; `renew` has another one fetched when a
    server refuses it. `environ` may say where servers are
    (`contract.env.mcp_target`, `contract.env.mcp_command`), and inside servers inherit
    `contract.CHILD_VARIABLES` from it. `switches` is what the policy switches off while this runs.
    Raises contract.ContractError for a server with neither command nor URL, or a command that is no list.
    """

    def __init__(
        self,
        servers: Sequence[contract.McpServer],
        *,
        secret: Secret,
        environ: Mapping[str, str],
        renew: Renew | None = None,
        switches: Switches | None = None,
    ) -> None:
        located = [locate(server, environ) for server in servers]
        inside = any(server.shape == "inside" for server in located)
        self._watcher = Watcher() if inside else None
        self._switches = switches
        self._backends = {server.name: self._backend(server, secret, environ, renew) for server in located}
        self.app = Endpoint(self._backends)

    async def start(self) -> None:
        """Start all inside servers at once. Does not wait until they answer; what fails is tried again."""
        if self._watcher:
            await self._watcher.start()
        await asyncio.gather(*(backend.start() for backend in self._backends.values()))

    async def close(self, grace: float) -> None:
        """End all servers at the same time, within about `grace` seconds, and every open stream."""
        await asyncio.gather(*(backend.close(grace) for backend in self._backends.values()))
        if self._watcher:
            await self._watcher.close()

    def states(self) -> dict[str, ServerState]:
        return {name: backend.state for name, backend in self._backends.items()}

    async def probe(self, name: str) -> str | None:
        """None when the server answers, else the reason in words; takes two seconds at most."""
        error = await self._backends[name].probe()
        self._backends[name].calls.probed(error)
        return error

    def collect(self) -> Iterable[Metric]:
        """A source of metrics: every server's state and calls."""
        return collect(self._backends.values())

    def _backend(
        self, server: contract.McpServer, secret: Secret, environ: Mapping[str, str], renew: Renew | None
    ) -> Backend:
        if server.shape == "inside":
            return Inside(
                server, lambda: child_environment(server, secret, environ), self._watcher, self._switches
            )
        from .http.proxy import Proxy

        return Proxy(server, Credentials(server, secret, renew), self._switches)


def collect(backends: Iterable[Backend]) -> Iterable[Metric]:
    """The metric families of these servers."""
    from .families import families

    return families([(backend.state, backend.calls) for backend in backends])


def child_environment(
    server: contract.McpServer, secret: Secret, environ: Mapping[str, str]
) -> dict[str, str]:
    """All that an inside server sees: never the agent's keys. Raises MissingSecret."""
    environment = {name: environ[name] for name in contract.CHILD_VARIABLES if name in environ} | server.env
    for name in server.secrets:
        if (value := secret(name)) is None:
            raise MissingSecret(f"needs the secret {name!r}, which is not there")
        environment[name] = value
    return with_proxy(server, environment)


def with_proxy(server: contract.McpServer, environment: Mapping[str, str]) -> dict[str, str]:
    """A server's environment; Node looks at the proxy variables only where it is told to."""
    proxied = any(environment.get(name) for name in _PROXIES)
    asked = {"NODE_USE_ENV_PROXY": "1"} if proxied and is_node(server.command) else {}
    return asked | dict(environment)


def locate(server: contract.McpServer, environ: Mapping[str, str]) -> contract.McpServer:
    """The server with the command or URL that the environment says, when it says one."""
    if server.shape == "inside":
        variable = contract.env.mcp_command(server.name)
        command = _command(environ[variable]) if variable in environ else server.command
        if not command:
            where = variable if variable in environ else f"MCP server {server.name!r}"
            raise contract.ContractError(f'{where}: expected a command, such as ["python", "server.py"]')
        return dataclasses.replace(server, command=command)
    variable = contract.env.mcp_target(server.name)
    if not (url := environ.get(variable) or server.url):
        raise contract.ContractError(
            f"MCP server {server.name!r}: expected a URL in {variable} or the manifest"
        )
    return dataclasses.replace(server, url=url)


def _command(text: str) -> tuple[str, ...]:
    """A JSON list of words; empty when it is anything else."""
    try:
        words = json.loads(text)
    except ValueError:
        return ()
    return tuple(words) if isinstance(words, list) and all(isinstance(word, str) for word in words) else ()
