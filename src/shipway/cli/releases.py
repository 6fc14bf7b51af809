"""`shipway releases`: what was deployed on a machine, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shipway.cli import deployed, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shipway.rollout.service.messages import ReleaseRow


@click.command("releases")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object, newest first.")
@deployed.which
def command(as_json: bool, directory: Path, environment: str | None) -> None:
    """List what was deployed, newest first, who did it, and how it ended.

    Those that are kept have their images on the machine still: `shipway rollback` takes seconds to them.
    """
    from shipway_runtime.contract import encode

    found = deployed.find(directory, environment).releases()
    if as_json:
        click.echo(encode(found), nl=False)
    else:
        tables.show(_rows(found.releases))


def _rows(releases: tuple[ReleaseRow, ...]) -> Iterator[tuple[str, ...]]:
    from shipway.cli.policy_words import clock

    yield "REVISION", "DEPLOYED", "BY", "ENDED", "NOW", "WHY"
    for one in releases:
        now = "stable" if one.stable else "kept" if one.kept else "-"
        yield one.revision, clock(one.at), one.by or "-", one.ended, now, one.why or "-"
