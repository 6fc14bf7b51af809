"""`shipway logs`: what the stack has written."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("logs")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project.")
def command(names: tuple[str, ...], follow: bool, directory: Path) -> None:
    """Show what the processes of this run, or of the last one, have written, in order."""
    from shipway.errors import StackError
    from shipway.local import output
    from shipway.local.plan import STATE

    logs = directory / STATE / "logs"
    known = output.known(logs)
    if not known:
        raise StackError(f"nothing has run in {directory.resolve()}", "start it: shipway up")
    if unknown := [name for name in names if name not in known]:
        raise StackError(f"no process is called {unknown[0]}; there is: {', '.join(known)}")
    shown = output.Names([name for name in known if name != output.SELF])
    lines = output.follow if follow else output.merged
    for name, line in lines(logs, names or known):
        click.echo(shown.show(name, line))
