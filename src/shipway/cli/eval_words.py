"""A run of evals for people: a table on stdout; what it comes to, and why, on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shipway.cli import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.evals.against import Comparison
    from shipway.evals.results import Result, Run

_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_LONGEST = 100  # characters of a reason in the table
_DETAILED = 10  # cases
_LINES = 15  # of an answer, and of a traceback


def show(run: Run) -> None:
    """A line for each case: those that did not pass say why."""
    tables.show(_rows(run))


def talk(run: Run) -> None:
    """What was asked and said where a case did not pass, the judge, the verdict."""
    worse = [result for result in run.results if result.status != "passed"]
    for result in worse[:_DETAILED]:
        click.secho(f"\n{result.id}", bold=True, err=True)
        for line in _details(result):
            click.echo(f"  {line}", err=True)
    if len(worse) > _DETAILED:
        click.echo(f"\nand {len(worse) - _DETAILED} more: --json has everything", err=True)
    click.echo(err=True)
    if run.calibration:
        click.echo(run.calibration.words, err=True)
        if run.calibration.wrong:
            click.echo(f"  it does not agree with people on {', '.join(run.calibration.wrong)}", err=True)
    for remark in run.remarks:
        click.echo(f"note: {remark}", err=True)
    click.secho(run.verdict, fg=_COLOURS[run.verdict], bold=True, nl=False, err=True)
    click.echo(f": {_against(run.against) if run.against else _summary(run)}", err=True)


def _rows(run: Run) -> Iterator[tuple[str, ...]]:
    yield "CASE", "RESULT", "SCORE", "TIME", "COST", "WHY"
    for result in run.results:
        why = "; ".join(reason.splitlines()[-1] for reason in result.reasons)
        yield (
            result.id,
            result.status,
            "-" if result.score is None else f"{result.score:.2f}",
            "-" if result.latency_s is None else f"{result.latency_s:.1f} s",
            "-" if result.cost is None else f"${result.cost:.4f}",
            f"{why[: _LONGEST - 1]}…" if len(why) > _LONGEST else why,
        )


def _details(result: Result) -> Iterator[str]:
    for asked in result.inputs:
        yield from _cut(f"asked: {asked}")
    if result.tools:
        yield f"tools: {', '.join(result.tools)}"
    if result.text:
        yield from _cut(f"said:  {result.text}")
    for reason in result.reasons:
        yield from reason.splitlines()[-_LINES:]


def _cut(text: str) -> Iterator[str]:
    lines = text.splitlines()
    yield from lines[:_LINES]
    if len(lines) > _LINES:
        yield f"… {len(lines) - _LINES} more lines"


def _summary(run: Run) -> str:
    known = run.count("passed") + run.count("failed")
    low, high = run.interval
    words = f"{run.count('passed')} of {known} cases passed"
    if run.rate is not None:
        words += f" ({run.rate:.1%}; 95 % interval {low:.1%} to {high:.1%})"
    if lost := run.count("missing"):
        words += f", {lost} without a result"
    words += f"; {run.required:.4g} of them are required" if run.required < 1 else "; all are required"
    if run.cost is not None:
        words += f"; cost ${run.cost:.4f}"
    return f"{words}; {' and '.join(run.revisions) or 'no revision'}"


def _against(found: Comparison) -> str:
    words = f"{found.words}\nagainst {found.before}: {found.cases} cases compared"
    if found.missing:
        words += f", {found.missing} without a score from both"
    if found.stopped:
        words += "; stopped there"
    for name, ids in (("worse", found.worse), ("better", found.better)):
        if ids:
            words += f"\n  {name}: {', '.join(ids)}"
    return words
