"""`shipway eval`: ask the agent the questions of a suite, and say what its answers are worth."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

CODES = {"pass": 0, "fail": 3, "inconclusive": 4}
"""Exit codes by verdict."""


@click.command("eval")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--url", help="The API of the agent; default: the stack that runs in the directory.")
@click.option(
    "--against",
    metavar="REVISION|URL|FILE",
    help="Compare case by case: with a revision that was run before, an agent that runs, or a run's JSON.",
)
@click.option("--env", metavar="E", help="The environment whose agent --url is; default: development.")
@click.option("-k", "pattern", metavar="FILTER", help="Only cases with this in their id, or as a tag.")
@click.option("--failed", is_flag=True, help="Only cases that did not pass in the last whole run here.")
@click.option(
    "-j", "--concurrency", type=click.IntRange(1, 256), default=8, show_default=True, help="Cases at once."
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=1,
    metavar="N",
    help="Ask each case N times: it passes if it passes each time, and its score is the mean.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole run as one JSON object.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML, too.")
def command(
    directory: Path,
    url: str | None,
    against: str | None,
    env: str | None,
    pattern: str | None,
    failed: bool,
    concurrency: int,
    repeat: int,
    as_json: bool,
    junit: Path | None,
) -> None:
    """Ask the agent the questions of its suite, [evals] of agent.toml, and score the answers.

    Exits with 0 when enough cases passed, or with --against when the answers are no worse; 3 when not; 4
    when that could not be said.
    """
    from shipway.cli import eval_run, eval_words
    from shipway.evals import control, records
    from shipway.evals import junit as junit_xml
    from shipway.evals.results import document
    from shipway.spec.load import load

    loaded = load(directory / "agent.toml", env)
    ran = eval_run.run(loaded, eval_run.Asked(url, against, pattern, failed, concurrency, repeat))
    if as_json:
        click.echo(json.dumps(document(ran.run), indent=2, ensure_ascii=False))
    else:
        eval_words.show(ran.run)
    eval_words.talk(ran.run)
    if junit:
        junit.write_text(junit_xml.to_xml(ran.run), encoding="utf-8")
    if ran.interrupted:
        sys.exit(130)
    if not (pattern or failed):  # part of a suite is no measure of a revision
        records.keep(loaded.path.parent, ran.run)
        if server := control.named(os.environ, loaded.spec.name, ran.run.environment):
            problem = server.report(ran.run)
            click.echo(f"not reported: {problem}" if problem else f"reported to {server.url}", err=True)
    sys.exit(CODES[ran.run.verdict])
