"""Rules about who reaches a server: the probes, other pods, the world."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.servers import SERVERS
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests
    from shipway.check.manifests.workload import Container, Workload

_LOOPBACK = re.compile(r"(?:[a-z]+://)?(?:127\.\d+\.\d+\.\d+|localhost|\[?::1\]?)(?::[\d*]+)?")
_OPTIONS = ("--host", "--bind", "-b", "--address", "--listen")
_VARIABLES = frozenset(
    {
        *("HOST", "BIND", "BIND_ADDRESS", "LISTEN_ADDRESS", "SERVER_HOST", "UVICORN_HOST", "FASTMCP_HOST"),
        *(
            "FLASK_RUN_HOST",
            "GRANIAN_HOST",
            "CHAINLIT_HOST",
            "GRADIO_SERVER_NAME",
            "STREAMLIT_SERVER_ADDRESS",
        ),
    }
)
"""Variables that say where a server listens. Other names that end with HOST are mostly those of its peers."""
_ALLOWED = re.compile(r"(\w+_)?ALLOWED_HOSTS|--allowed-hosts?|--allow-hosts?")
_AUTH = re.compile(r"auth|oidc|oauth|jwt", re.I)


def port_is_reachable(manifests: Manifests) -> Iterator[Seen]:
    """What is probed or called from outside of the container listens on all of its addresses.

    What listens on 127.0.0.1 hears its own pod alone: probes come from the node, and a Service from anywhere.
    That is what most servers do when nothing is said.
    """
    for workload, container in _reached(manifests):
        if place := _listens(container):
            address, line = place
            message = f"{container.name} listens on {address}, and is asked from outside"
            yield Seen(message, "let it listen on 0.0.0.0", line, workload.file)


def _listens(container: Container) -> tuple[str, int] | None:
    """The address of loopback that it is told, or that its server takes unless it is told, and the line."""
    for command in container.commands:
        if (host := command.option(*_OPTIONS)) is not None:
            return (host, container.command_line) if _LOOPBACK.fullmatch(host) else None
    for variable in container.env:
        if variable.name in _VARIABLES or (variable.name == "MCP_HOST" and container.is_mcp):
            local = _LOOPBACK.fullmatch(variable.value or "")
            return (local[0], variable.line) if local else None
    for command in container.commands:
        for server in SERVERS.get(command.program, ()):
            elsewhere = command.has("-c", "--config", "--uds", "--fd")
            if server.local and not elsewhere and (not server.verb or command.says(server.verb)):
                return "127.0.0.1", container.command_line
    return None


def _reached(manifests: Manifests) -> Iterator[tuple[Workload, Container]]:
    """Containers that something outside of them asks for certain."""
    for workload in manifests.workloads:
        bridged = workload.platform == "compose" and workload.spec["network_mode"].text != "host"
        called = bridged or any(manifests.selecting(workload, "Service"))
        for container in workload.own:
            probed = any(probe.from_outside for probe in container.probes)
            if probed or (called and container.published and container.role == "main"):
                yield workload, container


def hosts_are_allowed(manifests: Manifests) -> Iterator[Seen]:
    """A server that looks at the Host header knows the names that it is called by.

    Called as `mcp-docs:8000`, a server whose list of hosts has only localhost answers 421, 400 or 403. MCP's
    SDK has such a list by itself when it listens on 127.0.0.1.
    """
    for workload, container in _reached(manifests):
        for name, value, line in _lists(container):
            hosts = [host.strip(" \"'[]") for host in re.split(r"[,\s]+", value) if host.strip(" \"'[]")]
            if hosts and all(_LOOPBACK.fullmatch(host) for host in hosts):
                message = f"{name} of {container.name} has only {value}: other names are refused"
                fix = "add the Service's name with its port; kubelet's probes come with the pod's address"
                yield Seen(message, fix, line, workload.file)


def _lists(container: Container) -> Iterator[tuple[str, str, int]]:
    for variable in container.env:
        if _ALLOWED.fullmatch(variable.name):
            yield variable.name, variable.value or "", variable.line
    for command in container.commands:
        for argument in command.arguments:
            name = argument.partition("=")[0]
            if name.startswith("--") and _ALLOWED.fullmatch(name):
                yield name, command.option(name) or "", container.command_line


def callers_are_known(manifests: Manifests) -> Iterator[Seen]:
    """What the world reaches asks who is there.

    Every turn of an agent costs money, and its tools do things. Whether the agent itself asks for a key is
    not seen here: a Service of type LoadBalancer and an Ingress without authentication are worth a look.
    """
    for workload in manifests.workloads:
        for service in manifests.selecting(workload, "Service") if workload.is_agent else ():
            fix = "if the agent itself checks keys or tokens, say so: `shipway: ignore exposed: …`"
            if service.node.at("spec", "type").text == "LoadBalancer":
                message = f"{service.name} brings the world to {workload.name}; nothing here asks who it is"
                yield Seen(message, fix, service.node.at("spec", "type").line, service.file)
            for ingress in manifests.of_kind("Ingress"):
                names = {node["name"].text for node in ingress.node.walk()}
                annotations = ingress.node.at("metadata", "annotations").pairs
                if service.name in names and not any(_AUTH.search(name) for name in annotations):
                    message = (
                        f"{ingress.name} brings the world to {workload.name}; nothing here asks who it is"
                    )
                    yield Seen(message, fix, ingress.node["spec"].line, ingress.file)
