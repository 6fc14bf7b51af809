"""`shipway diff`: what became of one image in another."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="All differences, as one JSON object.")
@click.option(
    "--image", "name", metavar="NAME", help="Which of several images; default: the first, the agent's."
)
@click.option("--platform", metavar="P", help="Which of several platforms, as linux/arm64.")
def command(before: str, after: str, as_json: bool, name: str | None, platform: str | None) -> None:
    """Say in words what image B has more, less or newer than A: packages, layers, files, config, size.

    A and B are what `shipway inspect` takes. The exit code is 0 whether or not they differ.
    """
    from shipway.build.inspection.difference import compare, words
    from shipway.build.inspection.image_source import open_image
    from shipway.build.inspection.inspect import inspect

    old, new = (inspect(open_image(reference, name, platform)) for reference in (before, after))
    difference = compare(old, new)
    if as_json:
        click.echo(json.dumps(asdict(difference), indent=2, sort_keys=True))
    else:
        for line in words(difference):
            click.echo(line)
