"""The controller of a deployment, through the engine it runs in: started, replaced by a newer one, asked.

In: an engine, the deployment's name. Out: the answers of `shipway.rollout.service.messages`. Errors:
RolloutError for what the controller refuses, in its words; StackError for one that is not there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from shipway.deploy.engine import Engine
from shipway.errors import RolloutError, StackError
from shipway.plan import controller as plan
from shipway.plan.deployment import CONTROLLER, LABEL
from shipway.rollout.docker.definition import Place
from shipway.rollout.service.messages import Applied, Apply, Done, Refusal, Releases, Status, Tokens
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.rollout.service.messages import SuiteVerdict
    from shipway.rollout_snapshot import What

T = TypeVar("T")

START_S = 60.0
"""For a controller that was just started to answer."""

_SUFFIX = f"-{CONTROLLER}"


@dataclass(frozen=True, slots=True)
class Controller:
    """One deployment's controller; each method asks it once."""

    engine: Engine
    project: str

    @property
    def container(self) -> str:
        return self.project + _SUFFIX

    def apply(self, wanted: Apply) -> Applied:
        """Bring a revision to its users."""
        return self._ask(Applied, "apply", given=contract.encode(wanted))

    def status(self) -> Status:
        """How everything stands."""
        return self._ask(Status, "status")

    def order(self, what: What, by: str, reason: str) -> Done:
        """A person's word to the rollout that goes on."""
        return self._ask(Done, "order", what, "--by", by, given=reason)

    def suite(self, verdict: SuiteVerdict, canary: str) -> Done:
        """What the paired suite came to."""
        return self._ask(Done, "suite", verdict, "--canary", canary)

    def releases(self) -> Releases:
        """What was deployed, newest first."""
        return self._ask(Releases, "releases")

    def rollback(self, revision: str | None, by: str) -> Done:
        """Back to this revision, or to the one before."""
        return self._ask(Done, "rollback", *([revision] if revision else []), "--by", by)

    def tokens(self) -> Tokens:
        """What people show to control."""
        return self._ask(Tokens, "tokens")

    def connect(self, host: str, port: int) -> tuple[str, ...]:
        """The command whose stdin and stdout are a connection to there."""
        return (self.engine.program, *plan.ask(self.project, "connect", host, str(port)))

    def log(self, lines: int, revision: str = "", container: str = CONTROLLER) -> str:
        """The last lines of a container, as they come: its own, where no other is named."""
        name = Place(self.project, revision).name(container)
        done = self.engine.run("logs", "--tail", str(lines), name)
        return (done.stdout + done.stderr).strip()

    def _ask(self, answer: type[T], *command: str, given: str = "") -> T:
        done = self.engine.run(*plan.ask(self.project, *command), given=given)
        if done.returncode == 0:
            return contract.decode(answer, done.stdout, f"the answer of {self.container}")
        try:
            refusal = contract.decode(Refusal, done.stdout, self.container)
        except contract.ContractError:
            raise self._away(done.stderr or done.stdout) from None
        raise RolloutError(refusal.error, refusal.hint)

    def _away(self, said: str) -> StackError:
        words = " ".join(said.replace("Error response from daemon:", "").split())
        if "No such container" in said:
            return StackError(
                f"there is no deployment {self.project} in Docker at {self.engine.host}",
                "shipway deploy makes it",
            )
        return StackError(
            f"{self.container} does not answer: {words[-400:]}",
            f"look at it: docker logs {self.container}; shipway deploy starts it again",
        )


def provide(engine: Engine, project: str, image: str, say: Callable[[str], None]) -> Controller:
    """The controller runs with this image, and answers; one of another image is replaced, and goes on where
    that was. Raises StackError."""
    controller = Controller(engine, project)
    found = engine.inspect("container", [controller.container])
    if found and (found[0]["Image"] != image or not found[0]["State"]["Running"]):
        say(f"{controller.container}: replaced")
        engine.run("stop", controller.container)
        engine.ask("rm", "--force", controller.container)
        found = []
    if not found:
        done = engine.run(*plan.run(project, image, engine.socket))
        if done.returncode and "is already in use" not in done.stderr:  # somebody else deploys as well
            engine.run("rm", "--force", controller.container)
            raise StackError(f"the controller cannot be started: {' '.join(done.stderr.split())}")
    _wait(controller)
    return controller


def _wait(controller: Controller) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            controller.status()
            return
        except (StackError, RolloutError) as error:  # it says itself that it has not begun yet
            if time.monotonic() > deadline:
                raise StackError(f"{error}\n{controller.log(20)}", error.hint) from None
        time.sleep(0.3)


def find(engine: Engine, environment: str | None, name: str | None) -> Controller:
    """The deployment that is meant: of this agent in this environment, as far as either is known, where there
    is one only. Raises StackError, and names those that there are."""
    projects = deployments(engine)
    fitting = [project for project in projects if _fits(project, environment, name)]
    if len(fitting) == 1:
        return Controller(engine, fitting[0])
    where = f"Docker at {engine.host}"
    if not projects:
        raise StackError(
            f"nothing is deployed in {where}", "shipway deploy --env E; or is DOCKER_HOST another?"
        )
    meant = " ".join(filter(None, (name, f"in {environment}" if environment else None)))
    known = ", ".join(projects)
    if not fitting:
        raise StackError(f"no deployment of {meant} in {where}; there is: {known}", "name another: --env E")
    raise StackError(
        f"several deployments are in {where}: {known}", "say which: --env E, in the agent's directory"
    )


def deployments(engine: Engine) -> list[str]:
    """What is deployed in the engine, by project."""
    listed = engine.ask(
        *("ps", "--all", "--filter", f"label={LABEL}", "--filter", f"name={_SUFFIX}$"),
        *("--format", "{{.Names}}"),
    )
    return sorted(name.removesuffix(_SUFFIX) for name in listed.split())


def _fits(project: str, environment: str | None, name: str | None) -> bool:
    if environment and not project.endswith(f"-{environment}"):
        return False
    return not name or (project == f"{name}-{environment}" if environment else project.startswith(f"{name}-"))
