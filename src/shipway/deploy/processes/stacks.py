"""Revisions without containers: each is a project's directory, and a `shipway up` of its own.

In: a directory for each revision, what all of them have in their environment. Out: a `world.Runner`. The
stacks share one volume, as containers of one deployment do: a conversation goes on wherever it is sent. They
end with this process, however it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.local.plan import STATE
from shipway.local.ports import LOOPBACK, next_free
from shipway.local.process import told_of_death
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.rollout.state import Suite

SHIPWAY = Path(sys.executable).with_name("shipway")
LOG = "up.log"
BETWEEN = 20
"""Ports from one stack's API to the next one's."""


@dataclass(slots=True)
class _Stack:
    process: subprocess.Popen[bytes]
    port: int
    ending: bool = False


class Stacks:
    """Runs revisions; `port` is the first that is tried. `close` ends all of them."""

    def __init__(
        self, projects: Mapping[str, Path], volume: Path, variables: Mapping[str, str], port: int = 8100
    ) -> None:
        self._projects, self._volume, self._variables, self._port = projects, volume, variables, port
        self._stacks: dict[str, _Stack] = {}
        self._taken: set[int] = set()
        self.stable = ""
        """The revision that was settled last."""

    def run(self, revision: str) -> None:
        """See Runner."""
        stack = self._stacks.get(revision)
        if stack is None or stack.process.poll() is not None:
            self._stacks[revision] = self._start(revision)
        elif stack.ending:
            raise RolloutError(f"revision {revision} still ends; it runs again after that")

    def end(self, revision: str) -> None:
        """See Runner. A second signal would not wait for its turns."""
        stack = self._stacks.get(revision)
        if stack and not stack.ending:
            stack.ending = True
            stack.process.send_signal(signal.SIGTERM)

    def address(self, revision: str) -> tuple[str, int] | None:
        """See Runner."""
        stack = self._stacks.get(revision)
        return (LOOPBACK, stack.port) if stack and stack.process.poll() is None else None

    def settle(self, revision: str) -> None:
        """See Runner; nothing here outlives the machine's restart."""
        self.stable = revision

    def evaluate(self, canary: str, stable: str) -> Suite:
        """See Runner; whoever wants a suite runs `shipway eval` against both."""
        return "broken"

    def close(self) -> None:
        """End every stack, and wait for it."""
        for revision in self._stacks:
            self.end(revision)
        for stack in self._stacks.values():
            stack.process.wait()

    def _start(self, revision: str) -> _Stack:
        project = self._projects[revision]
        state = project / STATE
        state.mkdir(exist_ok=True)
        if not (state / "data").exists():
            self._volume.mkdir(parents=True, exist_ok=True)
            (state / "data").symlink_to(self._volume.resolve())
        port = next_free(self._port, self._taken)
        self._port = port + BETWEEN
        command = (str(SHIPWAY), "up", str(project), "--engine", "processes", "--port", str(port))
        with (state / LOG).open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._variables, env.REVISION: revision},
                start_new_session=True,
                preexec_fn=told_of_death(),
            )
        return _Stack(process, port)
