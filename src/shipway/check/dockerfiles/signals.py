"""Rules about starting and stopping: who gets SIGTERM, and what a start installs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.installs import MANAGERS
from shipway.check.dockerfiles.process import find_script, process, started, written
from shipway.check.dockerfiles.shell import SHELLS
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*[^}]*\})")
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
    for instruction in (i for i in (entrypoint, cmd) if i and (i is first or i.exec is None)):
        if instruction.exec is None or runs_shell(instruction.exec):
            yield from _shell(instruction)
    if first.exec is not None:
        yield from _parents(dockerfile, first)


def runs_shell(words: Sequence[str]) -> bool:
    """Whether the words start a shell with a script: `sh -c …`."""
    return len(words) > 2 and words[0].rpartition("/")[2] in SHELLS and words[1].endswith("c")


def _shell(instruction: Instruction) -> Iterator[Seen]:
    """A shell that starts the agent, unless it makes way for it."""
    if instruction.text and not any(command.replaces for command in written(instruction)):
        form = "is in shell form" if instruction.exec is None else "starts a shell"
        message = f"{instruction.word} {form}: the shell stays the agent's parent, and keeps SIGTERM"
        fix = "begin the last command with exec"
        if instruction.exec is None:
            fix = f"write it as a list: {instruction.word} {_as_list(instruction.text)}"
        yield Seen(message, fix, instruction.line)


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


def variables_are_filled_in(dockerfile: Dockerfile) -> Iterator[Seen]:
    """A list in ENTRYPOINT or CMD has no variables.

    No shell reads a list: `$PORT` reaches the program as five characters.
    """
    for instruction in (i for i in process(dockerfile) if i and i.exec):
        words = instruction.exec or ()
        found = next((m[0] for word in words if (m := _VARIABLE.search(word))), None)
        if found and not runs_shell(words):
            fix = f'["sh", "-c", "exec {words[0]} …"]; or let the program read the variable itself'
            yield Seen(f"{found} stands in a list, where nothing fills it in", fix, instruction.line)


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
