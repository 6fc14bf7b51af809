"""`shipway gate`: the gate alone, on outcomes that anything may have written."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shipway.gate import Conversations, GatePlan, Judgement

EXIT = {"pass": 0, "fail": 3, "inconclusive": 4}
_SHOWN = 5
"""Bad lines that are shown; all are counted."""


@click.command("gate")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="replace"))
@click.option("--canary", metavar="R", help="The revision that is judged; default: of two, the later one.")
@click.option("--stable", metavar="R", help="The one that it is compared with; default: the other one.")
@click.option(
    "--margin",
    "margins",
    metavar="METRIC[=M]",
    multiple=True,
    help="Judge by errors, live, latency, cost or tools; M, from 0 to 1, is how much worse the canary may "
    "be. Default: errors.",
)
@click.option(
    "--alpha",
    type=float,
    default=0.05,
    show_default=True,
    help="How often it may fail a canary that is no worse, over all metrics.",
)
@click.option(
    "--share",
    type=float,
    metavar="S",
    help="What part of the conversations the canary was to get, from 0 to 1: watch the split, too.",
)
@click.option("--json", "as_json", is_flag=True, help="The judgement as one JSON object.")
def command(
    file: IO[str],
    canary: str | None,
    stable: str | None,
    margins: tuple[str, ...],
    alpha: float,
    share: float | None,
    as_json: bool,
) -> None:
    """Judge a canary by outcomes of conversations: pass, fail or inconclusive, and why.

    FILE has one JSON object a line, `-` is stdin: a turn with its `conversation`, its `revision`, and what
    the metrics need. docs/reference/gate.md has the keys.

    Exit code 0: pass. 3: fail. 4: inconclusive, as it is when there is too little to tell.
    """
    from shipway.gate import GatePlan

    metrics = _metrics(margins)
    turns = _read(file, metrics)
    canary, stable = _revisions(turns.begin, canary, stable)
    try:
        plan = GatePlan(canary, stable, share, metrics, alpha)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    judgement, counts = _judge(plan, turns)
    if as_json:
        click.echo(json.dumps(asdict(judgement) | {"counts": counts}, indent=2, allow_nan=False))
    else:
        _show(judgement, counts)
    sys.exit(EXIT[judgement.verdict])


def _metrics(margins: Sequence[str]) -> dict[str, float | None]:
    """`errors`, `latency=0.05` -> margins; what has no margin of its own here has its metric's."""
    from shipway.gate.lines import NEEDED

    metrics: dict[str, float | None] = {}
    for text in margins or ("errors",):
        name, equals, value = text.partition("=")
        if name not in NEEDED:
            raise click.UsageError(
                f"--margin {text}: expected one of {', '.join(NEEDED)}, then =M or nothing"
            )
        try:
            metrics[name] = float(value) if equals else None
        except ValueError:
            raise click.UsageError(f"--margin {text}: {value!r} is no number; 0.02 is two points") from None
    return metrics


class _Turns:
    """What a file has: conversations, when each revision began, when the last turn ended, and bad lines."""

    def __init__(self, conversations: Conversations) -> None:
        self.conversations = conversations
        self.begin: dict[str, float] = {}
        self.end = 0.0
        self.good = 0
        self.bad = 0


def _read(file: IO[str], metrics: Iterable[str]) -> _Turns:
    """Every line; the first bad ones are shown on stderr. Raises UsageError when there is no good one."""
    from shipway.gate import Conversations
    from shipway.gate.lines import Bad, read

    turns = _Turns(Conversations())
    for one in read(file, metrics):
        if isinstance(one, Bad):
            turns.bad += 1
            if turns.bad <= _SHOWN:
                click.echo(f"{file.name}:{one.line}: {one.message}", err=True)
            continue
        turns.good += 1
        turns.conversations.add(one)
        turns.begin[one.revision] = min(turns.begin.get(one.revision, one.started), one.started)
        turns.end = max(turns.end, one.finished)
    lines = turns.good + turns.bad
    if not turns.good:
        raise click.UsageError(
            f"{file.name} has no outcome in {lines} lines; docs/reference/gate.md has the keys"
        )
    if turns.bad:
        click.echo(f"{turns.bad} of {lines} lines are no outcomes and were left out", err=True)
    return turns


def _revisions(begin: Mapping[str, float], canary: str | None, stable: str | None) -> tuple[str, str]:
    """Canary and stable: as given; else of the two that there are, the later one is the canary."""
    there = ", ".join(sorted(begin))
    for given, option in ((canary, "--canary"), (stable, "--stable")):
        if given is not None and given not in begin:
            raise click.UsageError(f"{option} {given}: no outcome has this revision; there are {there}")
    if canary and stable:
        return canary, stable
    if len(begin) != 2:
        raise click.UsageError(f"expected outcomes of two revisions, saw {there}: say --canary and --stable")
    earlier, later = sorted(begin, key=lambda revision: (begin[revision], revision))
    if canary or stable:
        other = earlier if later in (canary, stable) else later
        return canary or other, stable or other
    if begin[earlier] == begin[later]:
        raise click.UsageError(f"{there} begin at the same time: say which is the canary by --canary")
    click.echo(f"{later} is the later revision and so the canary, {earlier} is stable", err=True)
    return later, earlier


def _judge(plan: GatePlan, turns: _Turns) -> tuple[Judgement, dict[str, int]]:
    """The judgement that conversations come to one after the other, and what did not count as they did."""
    from shipway.gate import Gate

    gate, moved = Gate(plan), 0
    for conversation in turns.conversations.close_all():
        gate.see(conversation)
        moved += conversation.moved
    counts = {
        "bad lines": turns.bad,
        "repeated": turns.conversations.repeated,
        "after their conversation had closed": turns.conversations.late,
        "conversations of other revisions": gate.other,
        "conversations that went on with another revision": moved,
    }
    return gate.judge(turns.end), counts


def _show(judgement: Judgement, counts: Mapping[str, int]) -> None:
    colour = {"pass": "green", "fail": "red", "inconclusive": "yellow"}[judgement.verdict]
    click.secho(judgement.verdict, fg=colour, bold=True, nl=False)
    click.echo(f": {judgement.words}\n")
    for metric in judgement.metrics:
        click.echo(f"  {metric.words}")
    click.echo(f"  conversations: {judgement.canary} of the canary, {judgement.stable} of stable")
    if told := [f"{count} {what}" for what, count in counts.items() if count]:
        click.echo(f"  not as others: {', '.join(told)}")
