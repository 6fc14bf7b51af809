"""What the containers of a deployment have said.

In: the engine, a project. Out: (name, line) in the order of time; a name is the container's in the plan, with
its revision where several have one. Errors: StackError.
"""

from __future__ import annotations

import contextlib
import heapq
import queue
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.plan.deployment import CONTROLLER, LABEL, POD
from shipway.rollout.docker.definition import CONTAINER, REVISION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shipway.deploy.engine import Engine

    Line = tuple[str, str, str]
    """When, as the engine writes times; the name; what was said."""

_QUIET_S, _LONGEST_S = 0.2, 1.0
"""While following, lines that come together are put in order."""


def names(engine: Engine, project: str, wanted: Iterable[str] = ()) -> dict[str, str]:
    """Name -> the engine's own, of those that are `wanted`, or of all: `agent`, `agent@REVISION`."""
    labels = "\t".join(f'{{{{.Label "{label}"}}}}' for label in (CONTAINER, REVISION))
    of = ("--filter", f"label={LABEL}={project}")
    rows = engine.ask("ps", "--all", *of, "--format", f"{{{{.Names}}}}\t{labels}").splitlines()
    found = {tuple(rest): name for name, *rest in (row.split("\t") for row in sorted(rows))}
    several = len({revision for _, revision in found if revision}) > 1
    known = {
        f"{part}@{revision}" if several and revision else part or CONTROLLER: name
        for (part, revision), name in found.items()
        if part != POD
    }
    if not known:
        raise StackError(f"{project} has no containers in Docker at {engine.host}", "shipway deploy makes it")
    return _chosen(known, tuple(wanted))


def _chosen(known: dict[str, str], wanted: tuple[str, ...]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for one in wanted:
        start = one if "@" in one else f"{one}@"
        fitting = {name: there for name, there in known.items() if name == one or name.startswith(start)}
        if not fitting:
            raise StackError(f"no container is called {one}; there is: {', '.join(known)}")
        chosen |= fitting
    return chosen if wanted else known


def merged(engine: Engine, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """All that there is so far."""
    with contextlib.ExitStack() as stack:
        streams = [_read(stack.enter_context(_logs(engine, there)), name) for name, there in known.items()]
        for _, name, line in heapq.merge(*streams, key=lambda entry: entry[0]):
            yield name, line


def follow(engine: Engine, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is there, then what comes, until the last of them has ended."""
    lines: queue.Queue[Line | None] = queue.Queue()
    with contextlib.ExitStack() as stack:
        for name, there in known.items():
            process = stack.enter_context(_logs(engine, there, "--follow"))
            stack.callback(process.terminate)
            threading.Thread(target=_pass_on, args=(process, name, lines), daemon=True).start()
        going = len(known)
        while going:
            batch = _batch(lines)
            going -= batch.count(None)
            for _, name, line in sorted(entry for entry in batch if entry):
                yield name, line


def _logs(engine: Engine, name: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (engine.program, "logs", "--timestamps", *options, name),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _read(process: subprocess.Popen[str], name: str) -> Iterator[Line]:
    assert process.stdout
    for line in process.stdout:
        when, _, text = line.rstrip("\n").partition(" ")
        yield when, name, text


def _pass_on(process: subprocess.Popen[str], name: str, lines: queue.Queue[Line | None]) -> None:
    for line in _read(process, name):
        lines.put(line)
    lines.put(None)


def _batch(lines: queue.Queue[Line | None]) -> list[Line | None]:
    """What comes until nothing does for a moment; the first one is waited for."""
    batch = [lines.get()]
    end = time.monotonic() + _LONGEST_S
    with contextlib.suppress(queue.Empty):
        while time.monotonic() < end:
            batch.append(lines.get(timeout=_QUIET_S))
    return batch
