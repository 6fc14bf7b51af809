"""`shipway up`: run the whole stack on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.command("up")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option(
    "--engine",
    type=click.Choice(["docker", "processes"]),
    help="What runs the stack; default: docker where it answers, else processes.",
)
@click.option("-d", "--detach", is_flag=True, help="Go to the background when the agent is ready.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the API; default: 8080.")
@click.option("--live", is_flag=True, help="Ask the real model, with your key, instead of replaying it.")
@click.option(
    "--speed", type=click.FloatRange(0, min_open=True), help="Pace of replayed answers; 1 as recorded."
)
@click.option("--record", is_flag=True, help="Ask the real model, and record its answers in replays/.")
@click.option("--record-missing", is_flag=True, help="The same for what no recording in replays/ answers.")
@click.option(
    "--env-file", type=click.Path(path_type=Path, exists=True), help="Values of secrets; default: .env."
)
@click.option(
    "--wait-timeout",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds until it is said why the agent is not ready.",
)
def command(
    directory: Path,
    engine: Any,
    detach: bool,
    port: int | None,
    live: bool,
    speed: float | None,
    record: bool,
    record_missing: bool,
    env_file: Path | None,
    wait_timeout: float,
) -> None:
    """Run the agent, its MCP servers, its databases and a replayed model on this machine.

    Ctrl-C ends everything in order; a second one does not wait.
    """
    from shipway.local.up import Options, up

    chosen = {"--live": live, "--record": record, "--record-missing": record_missing}
    asked = [name for name, given in chosen.items() if given]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} exclude each other: keep one of them")
    model: Any = asked[0] if asked else "replayed"
    options = Options(directory, detach, port, model, speed, env_file, wait_timeout, engine)
    sys.exit(up(options, say))


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)
