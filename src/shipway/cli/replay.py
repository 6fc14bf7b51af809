"""`shipway replay`: replay the model's API."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("replay")
def command() -> None:
    """Replay the model's API."""


@command.command("serve")
@click.argument("directory", type=click.Path(path_type=Path), default="replays")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0: a free one.")
@click.option(
    "--speed", type=click.FloatRange(0, min_open=True), help="1 is the recorded pace; default: at once."
)
def serve(directory: Path, host: str, port: int, speed: float | None) -> None:
    """Serve the recorded exchanges and scripted replies in DIRECTORY until Ctrl-C."""
    from shipway.replay.server import serve

    serve(directory, host, port, speed)
