"""Which deployment a command is about: the options, and its controller.

In: `--env`, a directory. Out: a controller; without either, that of the only deployment in the engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.deploy.controller import Controller

Command = TypeVar("Command", bound="Callable[..., Any]")


def which(function: Command) -> Command:
    """The options that say which deployment is meant."""
    for option in (
        click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project."),
        click.option(
            "--env", "environment", metavar="E", help="The environment; default: the only one in the engine."
        ),
    ):
        function = option(function)
    return function


def find(directory: Path, environment: str | None, name: str | None = None) -> Controller:
    """The controller that is meant, of the agent in the directory where nobody says another. Raises SpecError
    and StackError."""
    from shipway.deploy import controller
    from shipway.deploy.engine import connect

    return controller.find(connect(), environment, name or _name(directory))


def reach_control(directory: Path, environment: str) -> tuple[str, str]:
    """The URL of a deployment's control until the command ends, and people's token: through the engine."""
    from shipway.deploy.tunnel import tunnel
    from shipway_runtime.contract import CONTROL_PORT

    controller = find(directory, environment)
    status = controller.status()
    command = controller.connect(f"{status.name}-control", CONTROL_PORT)
    url = click.get_current_context().with_resource(tunnel(command))
    return url, controller.tokens().operate


def _name(directory: Path) -> str | None:
    """The agent of the directory, where it has one: its deployments are meant, and nobody else's."""
    from shipway.spec.load import load

    file = directory / "agent.toml"
    return load(file).spec.name if file.exists() else None


def me() -> str:
    """Who gives an order, for the audit trail."""
    import getpass

    return getpass.getuser()
