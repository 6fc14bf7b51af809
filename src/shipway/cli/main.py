"""The program `shipway`: the table of its commands, and the boundary where errors become messages.

In: the command line. Out: data on stdout, talk on stderr, and an exit code: 0 done, 1 failed, 2 wrong usage
or spec, 3 a gate said no, 4 a gate cannot tell yet, 130 interrupted, 143 terminated. A traceback is shown
with --debug alone.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import cast

import click

import shipway
from shipway.errors import ShipwayError

COMMANDS = {
    "init": "write agent.toml for the project that is here",
    "check": "find what is wrong before anything is built",
    "plan": "print the plan of the image, the stack or the rollout",
    "lock": "write down what images are made of",
    "build": "make the image",
    "inspect": "what an image is made of, and what is large in it",
    "diff": "what changed between two releases or images",
    "up": "run the whole stack on this machine",
    "ask": "ask the agent that runs here",
    "eval": "ask the questions of a suite, and score the answers",
    "status": "what runs here or is deployed, and what is not ready",
    "policy": "kill switches and limits of what runs",
    "logs": "what the stack, or a deployment, has written",
    "down": "end the stack that runs here, or a deployment",
    "render": "write files for engines that people already have",
    "deploy": "bring a release to one machine with Docker, and to its users",
    "releases": "what was deployed on a machine",
    "rollback": "back to a revision that was there before",
    "replay": "replay the model's API",
    "gate": "judge a canary by the outcomes of its conversations",
    "rollout": "how a revision comes to its users: watch it, order it",
    "control": "the server that a fleet shares",
}
"""Each command is the `command` of the module `shipway.cli.NAME`, imported when it is used."""

_OBJECTS = 100_000
"""Made between two looks for garbage: more than most commands make. Python would look every 700, in vain."""


class Commands(click.Group):
    """The table above as a click group: help needs no import of any command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            import difflib  # 10 ms that only a typing error is worth

            near = difflib.get_close_matches(cmd_name, COMMANDS, 1)
            meant = f"; did you mean `{near[0]}`?" if near else ""
            ctx.fail(f"there is no command `{cmd_name}`{meant}")
        module = importlib.import_module(f"shipway.cli.{cmd_name}")
        return cast("click.Command", module.command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(shipway.__version__, message="shipway %(version)s")
def cli(debug: bool) -> None:
    """From agent code to a production container in seconds; then to production, and back when it is worse."""


def main() -> None:
    """Run the command line and exit with its code."""
    debug = "--debug" in sys.argv[1:]
    gc.set_threshold(_OBJECTS)
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("\ninterrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ShipwayError as error:
        if debug:
            raise
        show(error)
        sys.exit(error.exit_code)
    except OSError as error:  # what files and disks refuse, where nobody could say more about it
        if debug:
            raise
        show(ShipwayError(f"{error.filename or 'a file'}: {error.strerror or error}", "--debug says where"))
        sys.exit(1)
    finally:
        gc.freeze()  # the process ends: no last look for garbage, which takes 20 ms
    sys.exit(0)


def show(error: ShipwayError) -> None:
    """One clear message on stderr."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(str(error), err=True)
    if error.hint:
        click.echo(f"    {error.hint}", err=True)
