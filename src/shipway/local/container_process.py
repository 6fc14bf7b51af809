"""`docker run` in the foreground, as a process under supervision.

In: an image, and what is asked of its container. Out: a `Process`: its argv, and what takes the container
away when `docker run` itself had to be killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from shipway.errors import StackError
from shipway.local.plan import GRACE_S, Probe, Process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shipway.local.plan import Docker, Machine

Role = Literal["agent", "sidecar", "service", "replay", "network"]

LABEL = "dev.shipway.stack"
"""On every container and network of a stack; its value is the stack's name here."""

HARDENED = (
    *("--read-only", "--tmpfs", "/tmp"),  # noqa: S108 - the container's
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)
_ENGINE_FAILED, _KILLED = 125, 137


class Run(TypedDict, total=False):
    """What is asked of a container.

    `arguments` are a whole command if they begin with a path, else added to the image's own. `secrets` reach
    the container through the environment of `docker run`, as variables do that may hold a password: an
    argument is for all to see. Without a probe it has started when the engine says so. `memory` is its limit
    in bytes.
    """

    options: tuple[str, ...]
    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    address: str
    probe: Probe | None
    after: tuple[str, ...]
    grace_s: float
    memory: int | None
    inside: str | None
    stop: Literal["SIGTERM", "SIGINT"]


def run_container(
    machine: Machine, docker: Docker, project: str, name: str, role: Role, image: str, **run: Unpack[Run]
) -> Process:
    """The process `name` of the stack `project`."""
    program, own = docker.program, f"{project}-{name}"
    shown, hidden = _divide(run.get("variables", {}))
    hidden |= run.get("secrets", {})
    entry, arguments = _entry(run.get("arguments", ()))
    given = (*run.get("options", ()), *each("--env", (*shown, *hidden)), *entry)
    known = ("--rm", "--name", own, "--label", f"{LABEL}={project}")
    quiet = ("--pull", "never", "--log-driver", "local")
    return Process(
        name=name,
        role=role,
        argv=(program, "run", *known, *quiet, *given, image, *arguments),
        env=_cli(machine) | hidden,
        cwd=machine.root,
        address=run.get("address", ""),
        probe=run.get("probe") or Probe("command", (program, "top", own)),
        after=run.get("after", ()),
        grace_s=run.get("grace_s", GRACE_S),
        stop=run.get("stop", "SIGTERM"),
        inside=run.get("inside"),
        removal=(program, "rm", "--force", "--volumes", own),
        codes=_codes(run.get("memory")),
    )


# -- Options -------------------------------------------------------------------------------------------------


def each(option: str, values: Iterable[str]) -> tuple[str, ...]:
    """The option before each value."""
    return tuple(word for value in values for word in (option, value))


def limit(memory: int | None) -> tuple[str, ...]:
    """Memory is limited, and no swap comes to help. CPU is not: with a request of 0.1 as its share, the agent
    would starve whenever this machine does anything else."""
    return () if memory is None else ("--memory", str(memory), "--memory-swap", str(memory))


def mount(source: str, target: str, *, readonly: bool = False) -> tuple[str, str]:
    """A directory or file of this machine. The value is a line of CSV: a comma in a path needs quotes."""
    if '"' in source:
        raise StackError(f"{source}: a container cannot mount a path with a quotation mark", "rename it")
    place = f'"source={source}"' if "," in source else f"source={source}"
    return "--mount", f"type=bind,{place},target={target}{',readonly' if readonly else ''}"


def _divide(variables: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """What may be seen, and what may not: a URL with a user in it, of a proxy for example."""
    hidden = {name: value for name, value in variables.items() if "@" in value}
    return [f"{name}={value}" for name, value in variables.items() if name not in hidden], hidden


def _entry(command: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if command and command[0].startswith("/"):
        return ("--entrypoint", command[0]), command[1:]
    return (), command


def _cli(machine: Machine) -> dict[str, str]:
    """What Docker's own program needs to find the engine."""
    found = machine.variables
    return {n: v for n, v in found.items() if n in ("PATH", "HOME") or n.startswith("DOCKER_")}


def _codes(memory: int | None) -> dict[int, str]:
    limit = f", for its memory limit of {memory / 2**20:.0f} MiB if nobody did it by hand" if memory else ""
    return {
        _ENGINE_FAILED: f"could not be run by Docker (code {_ENGINE_FAILED})",
        _KILLED: f"was killed{limit} (code {_KILLED})",
    }
