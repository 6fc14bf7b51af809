"""`shipway rollback`: back to a revision that was there before, with the very images that it had."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from shipway.cli import deployed

if TYPE_CHECKING:
    from pathlib import Path


@click.command("rollback")
@click.argument("revision", required=False)
@deployed.which
def command(revision: str | None, directory: Path, environment: str | None) -> None:
    """Bring everybody back to REVISION, or to the one that was stable before.

    At once: no steps and no gates. A rollout that goes on is ended. stdout is the revision.
    """
    from shipway.cli import deploy_follow

    controller = deployed.find(directory, environment)
    before = controller.status()
    click.echo(controller.rollback(revision, deployed.me()).words, err=True)
    sys.exit(deploy_follow.follow_back(controller, before))
