"""What runs when the container starts: ENTRYPOINT and CMD, and the scripts among them that the context has.

In: a `Dockerfile`. Out: `Started` commands, each with the file and line that a finding names. A script's
`exec "$@"` is what the script is given.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.shell import SHELLS, Command, commands, read_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.subject import Dockerfile
    from shipway.check.dockerfiles.syntax import Instruction

_BUILTINS = frozenset(
    {
        *("cd", "set", "export", "echo", "exit", "trap", "wait", "source", ".", "[", "[[", "test", "true"),
        *("fi", "done", "}", "esac", "shift", "return", "printf", "umask", "ulimit", "local", "mkdir"),
    }
)


@dataclass(frozen=True, slots=True)
class Started:
    """A command that runs in the container, and where it is written: the Dockerfile, or a script."""

    command: Command
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Script:
    """A script that starts the container, and where the context has it."""

    file: str
    text: str

    @property
    def commands(self) -> list[Command]:
        """What it runs, whatever the conditions."""
        return commands(self.text)

    @property
    def last(self) -> Command | None:
        """The command that it stays with: the last that is more than a word of the shell."""
        return next((c for c in reversed(self.commands) if c.program not in _BUILTINS), None)


def process(dockerfile: Dockerfile) -> tuple[Instruction | None, Instruction | None]:
    """The ENTRYPOINT and the CMD that hold, None where the base's would."""
    entrypoint = cmd = None
    for instruction in dockerfile.stages.in_image("ENTRYPOINT", "CMD"):
        if instruction.word == "CMD":
            cmd = instruction
        else:
            entrypoint = instruction
    return entrypoint, cmd


def started(dockerfile: Dockerfile) -> Iterator[Started]:
    """Every command that starting the container runs."""
    for command, line in _direct(dockerfile):
        yield Started(command, dockerfile.file, line)
        if script := find_script(dockerfile, command):
            for inner in script.commands:
                yield Started(inner, script.file, inner.line)


def scripts(dockerfile: Dockerfile) -> list[Script]:
    """The scripts among what starts the container."""
    found = (find_script(dockerfile, command) for command, _ in _direct(dockerfile))
    return list({script.file: script for script in found if script}.values())


def _direct(dockerfile: Dockerfile) -> Iterator[tuple[Command, int]]:
    entrypoint, cmd = process(dockerfile)
    if entrypoint and entrypoint.exec is not None:
        given = cmd.exec or () if cmd else ()
        yield from ((c, entrypoint.line) for c in read_words((*entrypoint.exec, *given)))
        if cmd and _passes_on(entrypoint):
            yield from ((c, cmd.line) for c in written(cmd))
    elif entrypoint:
        yield from ((c, entrypoint.line) for c in written(entrypoint))
    elif cmd:
        yield from ((c, cmd.line) for c in written(cmd))


def _passes_on(entrypoint: Instruction) -> bool:
    """Whether an entry point is a script that ends with what CMD says, as far as its name tells."""
    words = entrypoint.exec or ()
    return bool(words) and (words[-1].endswith(".sh") or "entrypoint" in words[-1])


def written(instruction: Instruction) -> list[Command]:
    """The commands of an instruction in either form."""
    if instruction.exec is not None:
        return list(read_words(instruction.exec))
    return [c for text in (instruction.text, *instruction.heredocs) for c in commands(text)]


def find_script(dockerfile: Dockerfile, command: Command) -> Script | None:
    """The script that a command is, if the context has it."""
    words = (command.program, *command.arguments)
    name = next((w for w in words[1:] if not w.startswith("-")), "") if words[0] in SHELLS else words[0]
    base = posixpath.basename(name)
    if not base or base in SHELLS:
        return None
    for path in _places(dockerfile, name, base):
        text = dockerfile.context.text(path)
        if text is not None and text.startswith("#!") and "sh" in text.splitlines()[0]:
            return Script(str(dockerfile.context.root / path), text)
    return None


def _places(dockerfile: Dockerfile, name: str, base: str) -> Iterator[str]:
    """Where the context could have what the image has by this name."""
    for copied in dockerfile.copied(dockerfile.stages.in_image("COPY", "ADD")):
        if posixpath.basename(copied.source) == base or posixpath.basename(copied.target) == base:
            yield copied.source
        else:
            source = "" if copied.whole else f"{copied.source.rstrip('/')}/"
            yield f"{source}{base}"
            yield f"{source}scripts/{base}"
            yield f"{source}docker/{base}"
            yield posixpath.normpath(f"{source}{name.removeprefix('/').partition('/')[2]}" or base)
