"""`shipway check`: what production would punish, in anybody's project, Dockerfile, image and manifests."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shipway.check.suppressions import Settled
    from shipway.errors import Finding, Severity

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
_PATH = click.Path(path_type=Path)


@click.command("check")
@click.argument("directory", metavar="[DIR]", type=_PATH, required=False)
@click.option("--dockerfile", "dockerfiles", metavar="F", type=_PATH, multiple=True, help="A Dockerfile.")
@click.option(
    "--image",
    "images",
    metavar="REF",
    multiple=True,
    help="An image: a layout, a tar, an engine's, a registry's.",
)
@click.option(
    "--manifests", metavar="F|DIR", type=_PATH, multiple=True, help="Manifests, or a directory of them."
)
@click.option(
    "--sarif", "sarif_file", metavar="F", type=_PATH, help="Write the findings to this file, as SARIF."
)
@click.option("--with-ignored", is_flag=True, help="What is ignored is in the SARIF, too, as suppressed.")
@click.option(
    "--ignore",
    "ignored",
    metavar="RULE:REASON",
    multiple=True,
    callback=lambda _context, _option, given: _reasons(given),
    help="Ignore a rule everywhere, and say why.",
)
@click.option("--json", "as_json", is_flag=True, help="The findings as a JSON list.")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="error",
    show_default=True,
    help="The least severity that makes the exit code 2.",
)
def command(
    directory: Path | None,
    dockerfiles: tuple[Path, ...],
    images: tuple[str, ...],
    manifests: tuple[Path, ...],
    sarif_file: Path | None,
    with_ignored: bool,
    ignored: Mapping[str, str],
    as_json: bool,
    fail_on: Severity,
) -> None:
    """Find what production would punish. Nothing is built, nothing is changed.

    DIR, by default the one that you are in, is looked through for agent.toml, Dockerfiles and manifests,
    whoever wrote them. Where something is named by an option and DIR is not, that alone is looked at.

    Exit code 2 when there is an error, or what --fail-on says; 1 when something could not be looked at.
    stdout is the findings.
    """
    from shipway.check.survey import Asked, survey
    from shipway.cli.main import show

    named = bool(dockerfiles or images or manifests)
    place = directory if directory or named else Path()
    settled = survey(Asked(place, dockerfiles, images, manifests, ignored), say)
    _print(settled.findings, as_json)
    if sarif_file:
        _write(sarif_file, settled, with_ignored)
    for failure in settled.failures:
        show(failure)
    say(_summary(settled))
    counting = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    found = any(finding.severity in counting for finding in settled.findings)
    sys.exit(2 if found else 1 if settled.failures else 0)


def _reasons(given: Iterable[str]) -> dict[str, str]:
    """The rules of --ignore, with their reasons. Raises click.BadParameter that says what is wrong."""
    from shipway.check.rules import RULES

    known = {rule.name for rule in RULES}
    reasons = {}
    for text in given:
        rule, _, reason = (part.strip() for part in text.partition(":"))
        if rule not in known:
            raise click.BadParameter(f"there is no rule `{rule}` that could be ignored")
        if not reason:
            raise click.BadParameter(f"`{rule}` has no reason: --ignore '{rule}: why'")
        reasons[rule] = reason
    return reasons


def _print(findings: Iterable[Finding], as_json: bool) -> None:
    if as_json:
        import dataclasses
        import json

        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(str(finding))


def _summary(settled: Settled) -> str:
    counts = Counter(finding.severity for finding in settled.findings)
    parts = [f"{counts[s]} {s}{'' if counts[s] == 1 else 's'}" for s in SEVERITIES if counts[s]]
    if settled.suppressed:
        parts.append(f"{len(settled.suppressed)} ignored with a reason")
    if settled.failures:
        parts.append(f"{len(settled.failures)} could not be looked at")
    return ", ".join(parts if counts or settled.failures else ["nothing found", *parts])


def _write(file: Path, settled: Settled, with_ignored: bool) -> None:
    import json

    from shipway.check.sarif import sarif
    from shipway.errors import ShipwayError

    text = json.dumps(sarif(settled, Path.cwd(), with_ignored), indent=2)
    try:
        file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ShipwayError(f"{file} cannot be written: {error.strerror}") from error


def say(message: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    click.echo(message, err=True)
