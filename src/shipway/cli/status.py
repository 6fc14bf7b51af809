"""`shipway status`: what runs here, and what is not ready."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shipway.local.state import Stack


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Processes and readiness as one JSON object.")
@click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project.")
def command(as_json: bool, directory: Path) -> None:
    """Show each process, and each check of the agent's readiness. Exits with 1 when it is not ready."""
    from shipway.local import state

    stack = state.require(directory)
    document = asyncio.run(_readiness(stack))
    if as_json:
        click.echo(json.dumps({"stack": asdict(stack), "readiness": document}, indent=2))
    else:
        now = time.time()
        click.echo(f"{stack.name}, pid {stack.pid}, up {_age(now - stack.since)}\n")
        _print(_processes(stack, now))
        click.echo()
        if document is None:
            click.echo("the agent does not answer on its admin port")
        else:
            click.echo(f"{document['status']}")
            _print(_checks(document, now))
    sys.exit(0 if document and document["status"] in ("ready", "degraded") else 1)


async def _readiness(stack: Stack) -> dict[str, Any] | None:
    from shipway.local import probes

    async with probes.connect() as client:
        return await probes.readiness(stack.admin, client)


def _processes(stack: Stack, now: float) -> Iterator[tuple[str, ...]]:
    yield "PROCESS", "STATE", "PID", "RESTARTS", "FOR", "ADDRESS"
    for process in stack.processes:
        pid = str(process.pid or "-")
        yield (
            process.name,
            process.state,
            pid,
            str(process.restarts),
            _age(now - process.since),
            process.address,
        )


def _checks(document: dict[str, Any], now: float) -> Iterator[tuple[str, ...]]:
    yield "CHECK", "STATE", "FOR", "SHAPE", "REASON"
    for name, check in document["checks"].items():
        if name == "draining":
            continue
        age = _age(now - check["since"])
        reason = (check.get("last_error") or "-") if check["state"] != "up" else "-"
        yield name, check["state"], age, check.get("shape", "-"), reason


def _print(rows: Iterator[tuple[str, ...]]) -> None:
    table: Sequence[tuple[str, ...]] = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo(f"  {line}".rstrip())


def _age(seconds: float) -> str:
    """12 s, 3 min, 2 h, 5 d."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
