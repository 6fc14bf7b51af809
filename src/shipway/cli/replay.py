"""`shipway replay`: replay the model's API, and look after what is replayed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.cli import replay_ask, replay_fault, replay_image

if TYPE_CHECKING:
    from shipway.replay.drift.verdicts import State


@click.group("replay")
def command() -> None:
    """Replay the model's API, and look after what is replayed."""


command.add_command(replay_ask.command)
command.add_command(replay_fault.command)
command.add_command(replay_image.image)


@command.command("serve")
@click.argument("directory", type=click.Path(path_type=Path), default="replays")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0: a free one.")
@click.option(
    "--speed", type=click.FloatRange(0, min_open=True), help="1 is the recorded pace; default: at once."
)
@click.option("--record", is_flag=True, help="Ask the real APIs, and record what they answer.")
@click.option("--record-missing", is_flag=True, help="The same for what no recording answers.")
@click.option("--upstream", multiple=True, metavar="[PROVIDER=]URL", help="Where an API is, for recording.")
@click.option("--secret", multiple=True, metavar="NAME", help="A variable whose value is in no recording.")
def serve(
    directory: Path,
    host: str,
    port: int,
    speed: float | None,
    record: bool,
    record_missing: bool,
    upstream: tuple[str, ...],
    secret: tuple[str, ...],
) -> None:
    """Serve the recorded exchanges and scripted replies in DIRECTORY until Ctrl-C."""
    import os

    from shipway.replay.recording import options
    from shipway.replay.secrecy import named
    from shipway.replay.server import serve

    recorded = options.read(record=record, record_missing=record_missing, upstreams=upstream)
    serve(directory, host, port, speed, recorded=recorded, secrets=named(secret, os.environ))


@command.command("verify")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--json", "as_json", is_flag=True, help="Every verdict, as one JSON object.")
@click.option(
    "--only",
    type=click.Choice(["fresh", "stale", "unused", "unknown"]),
    help="Print the paths of these recordings alone, one a line.",
)
@click.option(
    "--older-than", type=click.FloatRange(0), metavar="DAYS", help="Count older recordings as stale, too."
)
def verify(directory: Path, as_json: bool, only: State | None, older_than: float | None) -> None:
    """Say which recordings are stale, because prompts, tools or the model changed, and which are not used.

    DIRECTORY is a project, or its replays. Exits with 1 when a recording is stale.
    """
    from shipway.cli import replay_tables as tables
    from shipway.local.replays import find
    from shipway.replay.drift.verdicts import verify

    replays = find(directory)
    report = verify(replays.directory, replays.now(older_than), replays.runs())
    if as_json:
        click.echo(json.dumps(tables.report(report), indent=2))
    elif only:
        for file in report.recordings(only):
            click.echo(replays.directory / file)
    else:
        for line in tables.verdict_lines(report):
            click.echo(line)
        for line in tables.talk(report):
            click.echo(line, err=True)
    sys.exit(1 if report.recordings("stale") else 0)


@command.command("ls")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--json", "as_json", is_flag=True, help="The recordings and replies as one JSON object.")
def ls(directory: Path, as_json: bool) -> None:
    """List recordings and scripted replies: what was asked, what was answered, when it was last used.

    DIRECTORY is a project, or its replays. Exits with 2 when a file cannot be read; the others are listed.
    """
    from shipway.cli import replay_tables
    from shipway.cli.tables import show
    from shipway.errors import SpecError
    from shipway.local.replays import find
    from shipway.replay.drift.inventory import Inventory

    replays = find(directory)
    inventory, runs = Inventory(replays.directory), replays.runs()
    recordings = [replay_tables.recording(one, runs) for one in inventory.recordings()]
    replies = [replay_tables.scripted(one, runs) for one in inventory.replies()[0]]
    if as_json:
        click.echo(json.dumps({"recordings": recordings, "replies": replies}, indent=2))
    else:
        for number, table in enumerate(replay_tables.listing(recordings, replies)):
            click.echo("\n" * bool(number), nl=False)
            show(table)
    if inventory.findings:
        raise SpecError(inventory.findings)
