"""`shipway check`: what is wrong with a project, before anything is built."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import click


@click.command("check")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--json", "as_json", is_flag=True, help="The findings as a JSON list.")
def command(directory: Path, as_json: bool) -> None:
    """Find what is wrong with agent.toml, the project's files, its locks and its base. Nothing is built.

    Exit code 2 when there is a finding. A base other than `minimal` is looked up in its registry.
    """
    from shipway.build.cache import Cache, default_root
    from shipway.build.registries.pool import Registries
    from shipway.check.rules import check
    from shipway.check.subject import read_subject
    from shipway.errors import SpecError

    try:
        with Registries() as registries:
            subject = read_subject(directory, Cache(default_root()), registries, say)
            findings = check(subject)
    except SpecError as error:
        findings = list(error.findings)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            say(str(finding))
        say(f"{len(findings)} finding{'' if len(findings) == 1 else 's'}" if findings else "nothing found")
    sys.exit(SpecError.exit_code if findings else 0)


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)
