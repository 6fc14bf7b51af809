"""`shipway status`: what runs here, or is deployed; what is not ready, and how the MCP servers are."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipway.cli import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.local.servers import Server
    from shipway.local.state import Stack


@click.command("status")
@click.option(
    "--json", "as_json", is_flag=True, help="Processes, readiness and MCP servers as one JSON object."
)
@click.option("--env", "environment", metavar="E", help="Of the deployment, not of what `up` has started.")
@click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project.")
def command(as_json: bool, environment: str | None, directory: Path) -> None:
    """Show each process, each check of the agent's readiness, and each MCP server.

    With --env the revisions on the machine that docker talks to, and the cause of what is not well there.
    Exits with 1 when the agent is not ready.
    """
    from shipway.local import state

    if environment:
        from shipway.cli import deployed, status_deployed

        sys.exit(status_deployed.show(deployed.find(directory, environment), as_json=as_json))

    stack = state.require(directory)
    document, servers = asyncio.run(_ask(stack))
    if as_json:
        mcp = [asdict(server) for server in servers]
        click.echo(json.dumps({"stack": asdict(stack), "readiness": document, "mcp": mcp}, indent=2))
    else:
        now = time.time()
        up = tables.age(now - stack.since)
        where = "in Docker" if stack.engine == "docker" else "as processes"
        model = state.model(stack.replayed, stack.recorded)
        click.echo(f"{stack.name}, {where}, pid {stack.pid}, up {up}, {model}\n")
        tables.show(_processes(stack, now))
        click.echo()
        if document is None:
            click.echo("the agent does not answer on its admin port")
        else:
            click.echo(f"{document['status']}")
            tables.show(_checks(document, now))
        if servers:
            click.echo()
            tables.show(_servers(servers, now))
    sys.exit(0 if document and document["status"] in ("ready", "degraded") else 1)


async def _ask(stack: Stack) -> tuple[dict[str, Any] | None, list[Server]]:
    """The agent's readiness, and its MCP servers."""
    from shipway.local import probes, servers

    async with probes.connect() as client:
        document, sidecars = await asyncio.gather(
            probes.readiness(stack.admin, client), servers.ask_sidecars(stack, client)
        )
    return document, servers.list_servers(document, sidecars)


def _processes(stack: Stack, now: float) -> Iterator[tuple[str, ...]]:
    yield "PROCESS", "STATE", "PID", "RESTARTS", "FOR", "ADDRESS"
    for process in stack.processes:
        pid = str(process.pid or "-")
        yield (
            process.name,
            process.state,
            pid,
            str(process.restarts),
            tables.age(now - process.since),
            process.address or "-",
        )


def _checks(document: dict[str, Any], now: float) -> Iterator[tuple[str, ...]]:
    yield "CHECK", "STATE", "FOR", "REASON"
    for name, check in document["checks"].items():
        if name == "draining" or name.startswith("mcp:"):  # MCP servers have a table of their own
            continue
        reason = (check.get("last_error") or "-") if check["state"] != "up" else "-"
        yield name, check["state"], tables.age(now - check["since"]), reason


def _servers(servers: list[Server], now: float) -> Iterator[tuple[str, ...]]:
    yield "MCP SERVER", "SHAPE", "STATE", "FOR", "PROTOCOL", "RESTARTS", "LAST ERROR"
    for server in servers:
        yield (
            server.name,
            server.shape,
            f"{server.state} (optional)" if server.optional and server.state != "up" else server.state,
            tables.age(now - server.since),
            server.protocol or "-",
            "-" if server.restarts is None else str(server.restarts),
            _last_error(server, now),
        )


def _last_error(server: Server, now: float) -> str:
    if not server.last_error:
        return "-"
    ago = f"{tables.age(now - server.last_error_at)} ago: " if server.last_error_at else ""
    return ago + " ".join(server.last_error.split())
