"""`shipway diff`: what changed between two releases, revisions or images."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

_COLOURS = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}


@click.command("diff")
@click.argument("before", metavar="[A]", default=".")
@click.argument("after", metavar="[B]", default=".")
@click.option(
    "--env", "environments", metavar="E", multiple=True, help="Compare its config, too; twice: one of each."
)
@click.option("--json", "as_json", is_flag=True, help="All differences, as one JSON object.")
@click.option(
    "--image", "name", metavar="NAME", help="Which of several images; default: the first, the agent's."
)
@click.option("--platform", metavar="P", help="Which of several platforms, as linux/arm64.")
def command(
    before: str,
    after: str,
    environments: tuple[str, ...],
    as_json: bool,
    name: str | None,
    platform: str | None,
) -> None:
    """Say in words what changed from A to B: prompts, model, tools, dependencies, config, source, image.

    A and B are release.json files, projects that were built, or images as `shipway inspect` takes them;
    default: the project that is here. The exit code is 0 whether or not they differ.
    """
    from shipway.build.comparison.compare import compare
    from shipway.build.comparison.opening import Choice, open_sides
    from shipway.build.comparison.words import words
    from shipway.build.inspection.contents import readable

    if len(environments) > 2:
        raise click.UsageError(f"--env: expected one or two, saw {len(environments)}")
    old, new, unknown = open_sides(before, after, Choice(name, platform, environments))
    comparison = compare(old, new, tuple(unknown))
    if as_json:
        click.echo(json.dumps(asdict(comparison), indent=2, sort_keys=True))
    else:
        for line in words(comparison):
            click.echo(_styled(readable(line.expandtabs(4))))


def _styled(line: str) -> str:
    """In colour on a terminal: by the sign of a change, or of a line of a prompt's diff."""
    if not line.startswith(" "):
        return click.style(line, bold=True)
    sign = line[2:3].strip() or line[4:5]
    return click.style(line, fg=_COLOURS.get(sign))
