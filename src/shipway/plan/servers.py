"""`run` of an MCP server -> what to install and what to start.

In: `[mcp.NAME]`. Out: `ServerProgram`, and `contract.McpServer` as the relay will see it. The same for the
image, the sidecar's image and local processes, so that the shapes cannot drift apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.spec.model import Mcp, Spec


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """What runs one MCP server. `kind` says where it comes from.

    pypi: `requirement` is installed into an environment of its own and its console script started;
    npm: `requirement` is installed likewise, and runs on Node;
    project: `module` runs in the agent's environment; command: `argv` is taken as it is.
    """

    kind: Literal["pypi", "npm", "project", "command"]
    requirement: str = ""
    script: str = ""
    module: str = ""
    argv: tuple[str, ...] = ()
    args: tuple[str, ...] = ()

    def command(self, environment: str, python: str) -> tuple[str, ...]:
        """The argv, given the server's own environment directory and the agent's interpreter."""
        if self.kind == "pypi":
            return (f"{environment}/bin/{self.script}", *self.args)
        if self.kind == "npm":
            return (f"{environment}/bin/node", f"{environment}/main", *self.args)
        if self.kind == "project":
            return (python, "-m", self.module, *self.args)
        return (*self.argv, *self.args)


def program(server: Mcp) -> ServerProgram | None:
    """What `run` means; None for a service that others run, and for an image, which brings its own."""
    if server.run is None or given_image(server):
        return None
    if not isinstance(server.run, str):
        return ServerProgram("command", argv=server.run, args=server.args)
    kind, _, rest = server.run.partition(":")
    if kind == "pypi":
        script = re.split(r"[\[<>=!~; ]", rest, maxsplit=1)[0]
        return ServerProgram("pypi", requirement=rest, script=script, args=server.args)
    if kind == "npm":
        return ServerProgram("npm", requirement=rest, args=server.args)
    return ServerProgram("project", module=rest, args=server.args)


def given_image(server: Mcp) -> str | None:
    """The image that `run` names: somebody else has built it, and it speaks HTTP."""
    if isinstance(server.run, str) and server.run.startswith("image:"):
        return server.run.removeprefix("image:")
    return None


def npm_name(requirement: str) -> str:
    """The name in `NAME[@VERSION]`; a scope begins with @ as well."""
    return re.sub(r"(?<=.)@.*", "", requirement)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server with a container of its own listens: in the agent's network, or under a host name."""

    host: str
    port: int
    path: str = "/mcp"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}{self.path}"


def places(spec: Spec) -> dict[str, Place]:
    """Each server that gets a container. Ports of sidecars count up in the order of agent.toml.

    An image listens where its `url` says; without one, where PORT tells it to, at /mcp.
    """
    own = {name: server for name, server in spec.mcp.items() if server.shape != "inside" and server.run}
    sidecars = [name for name, server in own.items() if server.shape == "sidecar"]
    return {name: _place(spec, name, sidecars) for name in own}


def _place(spec: Spec, name: str, sidecars: list[str]) -> Place:
    server = spec.mcp[name]
    number = sidecars.index(name) if name in sidecars else 0
    host = "127.0.0.1" if name in sidecars else f"{spec.name}-mcp-{name}"
    said = urlsplit(server.url) if server.url and given_image(server) else urlsplit("/mcp")
    return Place(host, said.port or contract.SIDECAR_PORT + number, said.path or "/")


def _url(spec: Spec, name: str) -> str | None:
    """Where the agent's relay finds it; None for one inside."""
    place = places(spec).get(name)
    return place.url if place else spec.mcp[name].url


def environment_path(name: str) -> str:
    """Where an MCP server's own dependencies are, in whichever image it runs."""
    return f"{contract.MCP}/{name}"


def relay_arguments(
    name: str,
    port: int,
    command: tuple[str, ...],
    message_limit: int,
    memory: int | None = None,
    *,
    plain: bool = False,
    apart: bool = False,
) -> tuple[str, ...]:
    """Python's arguments for a relay in front of a command.

    `memory` where no engine limits the sidecar; `plain` where people read its log; `apart` where the agent
    is not in the same network namespace.
    """
    everywhere = ("--host", "0.0.0.0") if apart else ()  # noqa: S104 - of its own container
    readable = ("--plain",) if plain else ()
    larger = ("--message-limit", str(message_limit)) if message_limit != contract.MESSAGE_LIMIT else ()
    bounded = ("--memory", str(memory)) if memory is not None else ()
    relay = ("-m", "shipway_runtime.relay", name, "--port", str(port))
    return (*relay, *everywhere, *readable, *larger, *bounded, "--", *command)


def relay_servers(spec: Spec) -> tuple[contract.McpServer, ...]:
    """Every MCP server as the relay in the agent's container sees it."""
    return tuple(_relay_server(spec, name) for name in spec.mcp)


def _relay_server(spec: Spec, name: str) -> contract.McpServer:
    server = spec.mcp[name]
    started = program(server)
    inside = server.shape == "inside" and started is not None
    python = f"{contract.VENV}/bin/python"
    return contract.McpServer(
        name=name,
        shape=server.shape,
        command=started.command(environment_path(name), python) if inside and started else (),
        url=_url(spec, name),
        env=environment(server, started) if inside and started else {},
        secrets=server.secrets if inside else (),
        auth=server.auth,
        headers=dict(server.headers),
        tools=contract.ToolFilter(server.tools.allow, server.tools.deny),
        timeout_s=server.timeout,
        concurrency=server.concurrency,
        message_limit=server.message_limit,
        memory=server.resources.memory if inside else None,
        optional=server.optional,
    )


def image_name(spec: Spec, server: str | None = None) -> str:
    """The image's reference without tag: the repository, or the agent's name; `-mcp-NAME` for a server's."""
    repository = spec.image.repository or spec.name
    return f"{repository}-mcp-{server}" if server else repository


def platforms(spec: Spec) -> tuple[str, ...]:
    """What every image of the project is built for."""
    return spec.image.platforms or ("linux/amd64",)


def environment(server: Mcp, started: ServerProgram) -> dict[str, str]:
    """What `env` says; a server that is a module of the project has to find it as well."""
    return ({"PYTHONPATH": contract.SOURCE} if started.kind == "project" else {}) | server.env
