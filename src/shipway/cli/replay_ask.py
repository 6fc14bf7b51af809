"""`shipway replay ask`: every recorded question, asked once more of the stack that runs here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command("ask")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--stale", is_flag=True, help="Only the questions of stale recordings.")
@click.option("--live", is_flag=True, help="Also where the real model answers, and is paid.")
def command(directory: Path, stale: bool, live: bool) -> None:
    """Ask the stack that runs here every question that is recorded.

    While it replays its model, `shipway replay verify` is certain afterwards; while it records, what is
    stale is recorded again. Exits with 1 when a question was not answered. DIRECTORY is a project, or its
    replays.
    """
    from shipway.local.ask import KEY
    from shipway.local.rehearsal import rehearse
    from shipway.local.replays import find

    replays = find(directory)
    failed = rehearse(replays, os.environ.get(KEY), say, stale=stale, live=live)
    sys.exit(1 if failed else 0)


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)
