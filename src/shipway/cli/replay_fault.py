"""`shipway replay fault`: make something go wrong in the replay that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipway.cli import tables
from shipway.replay.faults import rules
from shipway.replay.faults.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shipway.replay.faults.client import Told


def _rule_options(function: Callable[..., None]) -> Callable[..., None]:
    """An option for each key of a rule."""
    for name, key in reversed(rules.KEYS.items()):
        function = click.option(f"--{name.replace('_', '-')}", name, type=key.kind, help=key.about)(function)
    return function


_KINDS = "\n".join(f"  {name:<16}{kind.summary}" for name, kind in KINDS.items())


@click.command("fault", epilog=f"\b\nKinds:\n{_KINDS}")
@click.argument("kind", type=click.Choice(list(KINDS)), metavar="[KIND]", required=False)
@_rule_options
@click.option("--for", "for_s", type=click.FloatRange(0), help="Seconds; default: until it is cleared.")
@click.option("--list", "listed", is_flag=True, help="Show what is armed, and how often it has hit.")
@click.option("--clear", is_flag=True, help="Forget what was demanded; rules in replays/ stay.")
@click.option("--url", help="The replay's address; default: that of the stack that runs here.")
@click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project.")
def command(
    kind: str | None,
    for_s: float | None,
    listed: bool,
    clear: bool,
    url: str | None,
    directory: Path,
    **keys: Any,
) -> None:
    """Make something go wrong in the replay that runs.

    Each request is hit until --clear, unless options say which.
    """
    from shipway.replay.faults import client

    if (kind is not None) + listed + clear != 1:
        raise click.UsageError(f"expected a KIND ({', '.join(KINDS)}), --list or --clear")
    given = {name: value for name, value in keys.items() if value is not None}
    if kind is not None:
        _check({"kind": kind, **given})
    url = url or _replay(directory)
    if clear:
        count = client.clear(url)
        click.echo(f"{count} cleared" if count else "nothing was demanded", err=True)
        return
    if kind is not None:
        faults = client.arm(url, {"kind": kind, **given, "for_s": for_s})
        if for_s is None and "times" not in given:
            click.echo("until: shipway replay fault --clear", err=True)
    else:
        faults = client.armed(url)
    tables.show(_rows(faults))


def _check(keys: dict[str, Any]) -> None:
    """What cannot be is the command line's mistake, whether or not a replay runs."""
    try:
        rules.make(keys, "command line")
    except rules.RuleError as error:
        raise click.UsageError(f"{error}\n{error.fix}") from None


def _rows(faults: list[Told]) -> Iterator[tuple[str, ...]]:
    yield "FAULT", "FROM", "REQUESTS", "HITS", "FOR", "ONLY"
    for told in faults:
        left = "-" if told.for_s is None else f"{told.for_s:g} s"
        yield told.fault, told.place, str(told.seen), str(told.hits), left, told.choice or "-"


def _replay(directory: Path) -> str:
    """Where the replay of the stack listens that runs in a project."""
    from shipway.errors import StackError
    from shipway.local import state

    stack = state.require(directory)
    address = next((process.address for process in stack.processes if process.name == "replay"), None)
    if address is None:
        raise StackError(f"{stack.name} has no replay: its model is live", "start it without --live")
    return address
