"""Rules about starting and stopping: who gets SIGTERM, and what a start installs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.installs import MANAGERS
from shipway.check.dockerfiles.process import find_script, process, started, written
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.shell import Command
    from shipway.check.dockerfiles.subject import Dockerfile
    from shipway.check.dockerfiles.syntax import Instruction

_RUNNERS = {
    "npx": ((),),
    "uvx": ((),),
    "bunx": ((),),
    "uv": (("tool", "run"),),
    "pipx": (("run",),),
    "npm": (("exec",),),
    "pnpm": (("dlx",),),
    "yarn": (("dlx",),),
}
"""Programs, and their verbs, that fetch what they run."""
_PARENTS = frozenset({"npm", "yarn", "pnpm", "poetry", "pipenv", "pdm"})
"""Launchers that stay as the parent of what they start."""
_NEEDS_SHELL = re.compile(r"[$&|;<>()`*?\\]")


def signals_arrive(dockerfile: Dockerfile) -> Iterator[Seen]:
    """SIGTERM reaches the agent: it is process 1 itself, or what is process 1 passes signals on.

    An orchestrator sends SIGTERM to process 1, waits, and kills. A shell waits for its child and passes
    nothing on, so at every rollout the whole grace period is waited for, and every answer that is being
    written is cut off. That is so for ENTRYPOINT and CMD in shell form, for a script that does not `exec`,
    and for `npm start`.
    """
    entrypoint, cmd = process(dockerfile)
    first = entrypoint or cmd
    if first is None:
        return
    if first.exec is None:
        yield from _shell_form(first)
    elif entrypoint and cmd and cmd.exec is None:
        yield from _shell_form(cmd)
    if first.exec is not None:
        yield from _parents(dockerfile, first)


def _shell_form(instruction: Instruction) -> Iterator[Seen]:
    if not any(command.replaces for command in written(instruction)):
        yield Seen(
            f"{instruction.word} is in shell form: the shell stays the agent's parent, and keeps SIGTERM",
            f"write it as a list: {instruction.word} {_as_list(instruction.text)}",
            instruction.line,
        )


def _as_list(text: str) -> str:
    """The shell form as JSON where a shell does nothing for it, else with a shell that makes way."""
    if _NEEDS_SHELL.search(text) or '"' in text or "'" in text or "=" in text.partition(" ")[0]:
        return '["sh", "-c", "exec PROGRAM …"]'
    return "[" + ", ".join(f'"{word}"' for word in text.split()) + "]"


def _parents(dockerfile: Dockerfile, first: Instruction) -> Iterator[Seen]:
    """What stays between process 1 and the agent: launchers and scripts."""
    for command in written(first):
        if command.program in _PARENTS:
            message = f"{command.program} stays the agent's parent, and does not pass SIGTERM on reliably"
            yield Seen(message, f"start what {command.program} starts by its own path", first.line)
        script = find_script(dockerfile, command)
        last = script.last if script else None
        if script and last and not last.replaces:
            message = f"the script starts {last.program} and stays its parent: SIGTERM ends at the shell"
            yield Seen(message, f"write `exec {last.program} …`", last.line, script.file)


def nothing_is_installed_at_start(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Starting the container installs nothing: no `npx`, `uvx`, `pip install`.

    What runs would be whatever the index has at that moment, which nobody has reviewed; a start takes as long
    as the download, and with the index down no replica starts. A read-only root refuses it altogether.
    """
    for one in started(dockerfile):
        if what := installed_by(one.command):
            fix = "install it, with its version, while the image is built; start what was installed"
            yield Seen(f"{what} installs when the container starts", fix, one.line, one.file)
        elif (
            one.command.program == "uv"
            and one.command.says("run")
            and not _is_synced(dockerfile, one.command)
        ):
            message = "`uv run` compares the environment with the lock, and installs, at every start"
            fix = "start the program by its path, /app/.venv/bin/…, or with uv run --no-sync"
            yield Seen(message, fix, one.line, one.file)


def installed_by(command: Command) -> str:
    """The words of a command that fetches something, else empty."""
    if any(command.says(*verb) for verb in _RUNNERS.get(command.program, ())):
        return command.program
    manager = MANAGERS.get(command.program)
    if manager and any(command.says(*verb) for verb in manager.verbs):
        return f"{command.program} {command.arguments[0]}"
    return ""


def _is_synced(dockerfile: Dockerfile, command: Command) -> bool:
    return command.has("--no-sync", "--no-project") or "UV_NO_SYNC" in dockerfile.stages.environment
