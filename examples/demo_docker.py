"""The machine of the demonstration where Docker answers: `shipway build` and `shipway deploy`, as people use
them, and what comes of that in containers. What the agents know as their model's gateway replays it.

In: a directory, a project for each revision. All of it is removed in the end, but images that others share.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import demo_model
from demo_machine import AGENT

from shipway.control_client import ControlClient
from shipway.deploy import removal
from shipway.deploy.engine import connect
from shipway.errors import StackError
from shipway.local.ports import LOOPBACK, next_free
from shipway.plan.deployment import project
from shipway.rollout_snapshot import PATH, Known, Snapshot
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from httpx2 import Response

ENVIRONMENT = "demo"
SHIPWAY = Path(sys.executable).with_name("shipway")
PROJECT = project(AGENT, ENVIRONMENT)
ROLLED_BACK = 3
LOOK_S = 0.5


class Docker:
    """See Machine. Raises StackError where no engine answers."""

    def __init__(self, place: Path, projects: Mapping[str, Path], stack: contextlib.ExitStack) -> None:
        self._place, self._projects, self._engine = place, projects, connect()
        self._port = next_free(8090, set())
        self.url = f"http://{LOOPBACK}:{self._port}"
        self._revisions: dict[str, str] = {}
        self._client: ControlClient | None = None
        self._stack = stack
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("SHIPWAY_")}
        self._environ["ANTHROPIC_API_KEY"] = "replayed"
        self._remove()  # what a demonstration has left that was killed
        stack.callback(self._end)

    def serve(self, first: str) -> str:
        """See Machine."""
        demo_model.start(self._engine, PROJECT, self._projects[first] / "replays")
        with self._deploy(first) as deploying:
            _check(deploying.wait())
        url, token = self.page()
        self._client = self._stack.enter_context(
            ControlClient(url.partition("/#")[0], token, AGENT, ENVIRONMENT)
        )
        return "HAProxy, in Docker"

    def roll_out(self, canary: str) -> Iterator[Snapshot]:
        """See Machine."""
        ended = False
        with self._deploy(canary, "--wait") as deploying:
            while deploying.poll() is None or not ended:  # the controller tells control last
                if (known := self._known()) and known.canary.revision == self._revisions[canary]:
                    ended = known.ended
                    yield known
                time.sleep(LOOK_S)
                if deploying.poll() is not None:
                    _check(deploying.returncode)

    def gate(self, canary: str) -> dict[str, Any]:
        """See Machine."""
        found: dict[str, Any] = self._ask(f"/v1/gates/{self._revisions[canary]}").json()
        return found

    def revision(self, name: str) -> str:
        """See Machine."""
        return self._revisions[name]

    def page(self) -> tuple[str, str]:
        """See Machine."""
        status = json.loads(self._shipway("status", "--json"))
        port = next(one["port"] for one in status["ports"] if one["of"] == "control")
        address = f"http://{LOOPBACK}:{port}/#/{AGENT}/{ENVIRONMENT}/rollout"
        return address, self._shipway("rollout", "token").strip()

    @contextlib.contextmanager
    def _deploy(self, name: str, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Build a revision and deploy it. Its stderr is for whoever looks on; its stdout is the revision."""
        directory = self._projects[name]
        command = ("deploy", "--env", ENVIRONMENT, "--port", f"{LOOPBACK}:{self._port}", *options)
        print(f"\n$ shipway build && shipway {shlex.join(command)}", flush=True)
        built = subprocess.run((SHIPWAY, "build", directory), capture_output=True, text=True)
        if built.returncode:
            raise StackError(f"shipway build failed: {built.stderr}")
        with subprocess.Popen(
            (SHIPWAY, *command), cwd=directory, env=self._environ, stdout=subprocess.PIPE, text=True
        ) as deploying:
            assert deploying.stdout
            try:
                self._revisions[name] = deploying.stdout.readline().strip()
                yield deploying
            finally:
                deploying.terminate()

    def _known(self) -> Snapshot | None:
        return contract.decode(Known, self._ask(PATH).text, "control's answer").rollout

    def _ask(self, path: str) -> Response:
        assert self._client, "nothing is deployed yet"
        return self._client.ask("GET", path)

    def _shipway(self, *arguments: str) -> str:
        command = (SHIPWAY, *arguments, "--env", ENVIRONMENT)
        anywhere, env = next(iter(self._projects.values())), self._environ
        done = subprocess.run(command, cwd=anywhere, env=env, capture_output=True, text=True)
        if done.returncode:
            raise StackError(f"shipway {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def _end(self) -> None:
        """Keep what the containers said, and remove them."""
        with contextlib.suppress(StackError):  # nothing has begun
            (self._place / "deployment.log").write_text(self._shipway("logs"))
        self._remove()

    def _remove(self) -> None:
        self._engine.run("rm", "--force", "--volumes", *demo_model.names(PROJECT))
        removal.remove(self._engine, PROJECT, lambda _: None, volumes=True)


def _check(code: int) -> None:
    """Raises StackError for an end that is none of a rollout's; it has said why."""
    if code not in (0, ROLLED_BACK):
        raise StackError(f"shipway deploy ended with {code}")
