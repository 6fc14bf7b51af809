"""Watching a rollout until it has ended: a view that is drawn again in its place, or lines of what changes.

In: a source, which says what is known now, as often as it is asked. Out: the exit code. Errors: what the
source raises the first time; later on it is shown, and the source asked again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from shipway.cli import rollout_words as words
from shipway.errors import RolloutError, ShipwayError
from shipway.rollout_snapshot import Known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.rollout_snapshot import Snapshot

Source = Callable[[], Known]
"""Raises ShipwayError where it is not reached."""

LOOK_S = 1.0
EXIT = {"promoted": 0, "aborted": 3}


def watch(title: str, source: Source) -> int:
    """Until the rollout has ended: 0 when it was promoted, 3 when it was rolled back."""
    known = source()
    require(title, known)
    return _live(title, known, source) if sys.stdout.isatty() else _plain(known, source)


def require(title: str, known: Known) -> Snapshot:
    """Its snapshot. Raises RolloutError where there never was a rollout."""
    if known.rollout is None:
        raise RolloutError(f"no rollout of {title} has been heard of", "shipway deploy begins one")
    return known.rollout


def _looks(known: Known, source: Source) -> Iterator[tuple[Known, Snapshot, str]]:
    """What is known, again and again, and since when the source is not reached; the last one has ended."""
    trouble, since = "", 0.0
    while known.rollout:
        yield known, known.rollout, f"since {words.clock(since)}: {trouble}" if trouble else ""
        if known.rollout.ended:
            return
        time.sleep(LOOK_S)
        try:
            found = source()
        except ShipwayError as error:
            since = since if trouble else time.time()
            trouble = str(error)
        else:
            known, trouble = (found if found.rollout else known), ""


def _live(title: str, known: Known, source: Source) -> int:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    code = 1
    with Live(console=console, auto_refresh=False) as live:
        for found, rollout, lost in _looks(known, source):
            lines = words.view(title, found, rollout, console.width, console.height)
            if lost:
                lines.append((("not reached ", "bold yellow"), (lost, "")))
            live.update(Group(*(Text.assemble(*line) for line in lines)), refresh=True)
            code = EXIT.get(rollout.phase, code)
    return code


def _plain(known: Known, source: Source) -> int:
    said: dict[str, str] = {}
    code = 1
    for found, rollout, lost in _looks(known, source):
        for line in changes(said, found, rollout, lost):
            click.echo(line)
        sys.stdout.flush()
        code = EXIT.get(rollout.phase, code)
    return code


def changes(said: dict[str, str], known: Known, rollout: Snapshot, lost: str = "") -> Iterator[str]:
    """Lines for what is new since the last call; `said` remembers what was said of what."""
    gate = rollout.gate
    told = [
        *(
            (f"{one.at} {one.words}", f"{words.clock(one.at)} {one.who}: {one.words}")
            for one in rollout.trail
        ),
        ("phase", words.phase(rollout)),
        ("canary", words.health(rollout.canary, ended=rollout.ended)),
        ("stable", words.health(rollout.stable, ended=rollout.ended)),
        ("gate", f"gate: {gate.verdict}: {gate.words}" if gate else ""),
        ("trouble", f"trouble: {rollout.trouble}" if rollout.trouble else ""),
        *((f"order {one.number}", f"order: {words.waiting(one)}") for one in known.orders),
        ("silence", words.silence(known)),
        ("lost", f"not reached {lost}" if lost else ""),
    ]
    keys = {"gate": f"{gate.verdict} {gate.why}" if gate else "", "lost": "lost" if lost else ""}
    for name, line in told:
        key = keys.get(name, line)
        if said.get(name, "") != key:
            said[name] = key
            if line:
                yield words.clean(line)


def show(title: str, known: Known) -> None:
    """How it stands now, once."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in words.view(title, known, require(title, known), console.width):
        console.print(Text.assemble(*line), soft_wrap=True)
