"""`shipway logs`: what the stack has written, or a deployment."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("logs")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--env", "environment", metavar="E", help="Of the deployment, not of what `up` has started.")
@click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project.")
def command(names: tuple[str, ...], follow: bool, environment: str | None, directory: Path) -> None:
    """Show what the processes of this run, or of the last one, have written, in order.

    With --env what the containers of a deployment have: `agent` for one of each revision, `agent@REVISION`.
    """
    if environment:
        _deployed(names, environment, directory, follow=follow)
        return
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


def _deployed(names: tuple[str, ...], environment: str, directory: Path, *, follow: bool) -> None:
    from shipway.cli import deployed
    from shipway.deploy import logs
    from shipway.local.output import Names

    found = deployed.find(directory, environment)
    known = logs.names(found.engine, found.project, names)
    shown = Names(list(known))
    lines = logs.follow if follow else logs.merged
    for name, line in lines(found.engine, known):
        click.echo(shown.show(name, line))
