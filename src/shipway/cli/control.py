"""`shipway control`: the server that a fleet shares."""

from __future__ import annotations

from pathlib import Path

import click

from shipway.cli import control_image
from shipway_runtime.contract import CONTROL_PORT, env


@click.group("control")
def command() -> None:
    """The server that a fleet shares: outcomes in; policy, verdicts and the page out."""


command.add_command(control_image.image)


@command.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=CONTROL_PORT, show_default=True, help="0: a free one."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".shipway/control"),
    envvar=env.CONTROL_DATA,
    show_default=True,
    show_envvar=True,
    help="The directory of its SQLite database.",
)
@click.option(
    "--database",
    metavar="URL",
    envvar=env.CONTROL_DATABASE,
    show_envvar=True,
    help="PostgreSQL instead. With a password: in the variable, or a secret file of that name.",
)
@click.option(
    "--keep",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="DAYS",
    help="How long outcomes are kept one by one; their sums stay.",
)
def serve(host: str, port: int, data: Path, database: str | None, keep: float) -> None:
    """Serve until Ctrl-C. Tokens come from SHIPWAY_CONTROL_TOKENS, a line for each: role name token."""
    from shipway.control.server import serve

    serve(host, port, data, database, keep * 86_400)
