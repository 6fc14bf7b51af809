"""A deployment, step by step: each one says what it did, and the next one needs it.

    read ─► engine ─► secrets ─► images ─► ports ─► controller ─► apply

In: what a user asks for. Out: what the controller on the machine made of it; from there it goes on by
itself. Whatever can be wrong here is looked for before anything is sent there.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.deploy import certificates, controller, images, own_images, planning, ports, secrets
from shipway.deploy.controller import Controller
from shipway.deploy.engine import Engine, connect
from shipway.deploy.planning import Subject
from shipway.deploy.ports import Port
from shipway.errors import RolloutError, StackError
from shipway.local import dotenv
from shipway.local.ask import KEY
from shipway.plan.controller import PROGRAM
from shipway.plan.deployment import CERTIFICATES, MADE, Deployment, needed_secrets
from shipway.plan.placement import Placement
from shipway.rollout.service.messages import Applied, Apply, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a user asks for. Names are those of the options."""

    directory: Path
    environment: str
    release: Path | None = None
    at_once: bool = False
    port: Port | None = None
    tls: tuple[Path, ...] = ()
    env_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Deployed:
    """What has been asked of the machine, and what its controller said."""

    subject: Subject
    engine: Engine
    controller: Controller
    deployment: Deployment
    applied: Applied
    at_once: bool = False


def deploy(options: Options, say: Say) -> Deployed:
    """Raises SpecError, BuildError, StackError and RolloutError."""
    subject = planning.read(options.directory, options.environment, options.release)
    pem = certificates.read(options.tls) if options.tls else None
    draft = subject.draft()
    engine = connect()
    before = _before(engine, draft.project)
    _check_free(before, draft.revision.id)
    if not options.at_once:
        _check_key(subject, before)
    tls = pem is not None or any(port.tls for port in before.ports)
    values = _secrets(options, subject, before, tls=tls) | ({CERTIFICATES: pem} if pem else {})
    for remark in planning.remarks(subject):
        say(remark)
    ids = _images(engine, subject, say)
    api, control = ports.choose(engine, ids["agent"], options.port, before.ports)
    deployment = subject.place(Placement(ids, api.port, control, api.address, tls=tls))
    asked = controller.provide(engine, deployment.project, ids[PROGRAM.role], say)
    wanted = Apply(deployment, values, getpass.getuser(), at_once=options.at_once)
    return Deployed(subject, engine, asked, deployment, asked.apply(wanted), options.at_once)


def _before(engine: Engine, name: str) -> Status:
    """How it stands so far. A controller that does not answer is about to be replaced, or started."""
    if name not in controller.deployments(engine):
        return Status(name)
    try:
        return Controller(engine, name).status()
    except StackError:
        return Status(name)


def _check_free(before: Status, revision: str) -> None:
    """The controller says so as well: here it is said before images are on their way."""
    rollout = before.rollout
    if rollout and not rollout.ended and rollout.canary.revision != revision:
        raise RolloutError(
            f"a rollout of {rollout.canary.revision} goes on ({rollout.phase})",
            "wait for it, or end it: shipway rollout abort",
        )


def _check_key(subject: Subject, before: Status) -> None:
    """The evals are asked from here: without a key they would come to nothing, after the canary is up."""
    auth = subject.loaded.spec.api.auth
    if before.stable and subject.rollout.suite and auth != "none" and not os.environ.get(KEY):
        raise StackError(
            f"the evals of the rollout ask the canary, and [api] wants a key: {KEY} is not set",
            f"set {KEY} to a key, or a token, of this agent; or --at-once, without evals",
        )


def _secrets(options: Options, subject: Subject, before: Status, *, tls: bool) -> dict[str, str]:
    """Before anything is sent: which are needed is known without any image."""
    file = options.env_file or subject.root / f".env.{options.environment}"
    needed = needed_secrets(subject.draft(tls=tls))
    wanted = {name: by for name, by in needed.items() if name not in (*MADE, CERTIFICATES)}
    shown = os.path.relpath(file)
    return secrets.collect(wanted, secrets.Sources(os.environ, dotenv.read(file), shown), before.secrets)


def _images(engine: Engine, subject: Subject, say: Say) -> dict[str, str]:
    draft = subject.draft()
    named = images.wanted(subject.references, draft.project, draft.revision.id)
    ids = images.provide(engine, named, subject.layout, say)
    return ids | own_images.provide(engine, subject.root, say)
