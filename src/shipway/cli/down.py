"""`shipway down`: end the stack that runs here."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("down")
@click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project.")
def command(directory: Path) -> None:
    """End the stack that runs here, in order; nothing is left when it returns."""
    from shipway.local.down import down

    ended = down(directory, lambda text: click.echo(text, err=True))
    click.echo("stopped" if ended else f"no stack runs in {directory.resolve()}", err=True)
