"""agent.toml and a release -> what is deployed: before any engine is asked.

In: a directory, an environment, the release's file. Out: a Subject, and with what the machine decides a
Deployment. Errors: SpecError, for development, for a release that is not of this stack, and for what one
machine with Docker cannot have.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.plan.deployment import CONTROL, ROUTER
from shipway.plan.placement import Placement, plan_deployment
from shipway.plan.rollout import RolloutPlan, plan_rollout
from shipway.plan.stack import DEVELOPMENT, StackPlan, plan_stack
from shipway.render.released import FILE, lacking, read_release
from shipway.render.targets import asked
from shipway.render.targets.table import UNASKED
from shipway.spec.load import Loaded, load
from shipway.spec.project import read_project
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.plan.deployment import Deployment

RULE = "deploy"
_BUILD = "run `shipway build`, or name another one: --release F"
_NAME = 63
"""Letters of a host name's part."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is deployed. `layout` is where its build left the images; it may be gone. `named`: somebody said
    which release."""

    loaded: Loaded
    stack: StackPlan
    release: contract.Release
    rollout: RolloutPlan
    root: Path
    layout: Path
    named: bool

    def place(self, placement: Placement) -> Deployment:
        """The deployment on a machine. Raises SpecError for names that are too long to be found by."""
        made = plan_deployment(self.stack, self.release, self.rollout, placement)
        hosts = [alias for one in made.revision.containers for alias in one.aliases]
        if findings := [_too_long(host) for host in (made.project, *hosts) if len(host) > _NAME]:
            raise SpecError(findings)
        return made

    def draft(self, *, tls: bool = False) -> Deployment:
        """The same as long as no engine was asked: images by their references, and no ports."""
        return self.place(Placement(self.references | {CONTROL: CONTROL, ROUTER: ROUTER}, 0, 0, tls=tls))

    @property
    def references(self) -> dict[str, str]:
        """Role -> what its image is called: of the release by digest, of others as agent.toml says."""
        servers = (*self.stack.sidecars, *self.stack.apart)
        ours = {"agent": self.release.images["agent"]}
        ours |= {f"mcp-{one.name}": self.release.images[f"mcp-{one.name}"] for one in servers if one.program}
        return ours | {f"mcp-{one.name}": one.image for one in servers if not one.program}


def read(directory: Path, environment: str, file: Path | None) -> Subject:
    """What this directory deploys. Raises SpecError."""
    if environment == DEVELOPMENT:
        message = "development is not deployed: its model is replayed, and its stack is `shipway up`"
        raise SpecError([Finding(RULE, message, "name an environment of agent.toml: --env E")])
    loaded = load(directory / "agent.toml", environment)
    root = loaded.path.resolve().parent
    place = file or root / FILE
    release = read_release(loaded.spec.name, place, _BUILD)
    stack = plan_stack(loaded, environment)
    _check(stack)
    rollout, layout = plan_rollout(loaded.spec, environment), place.resolve().parent / "images"
    subject = Subject(loaded, stack, release, rollout, root, layout, named=file is not None)
    try:
        _ = subject.references
    except KeyError as error:
        raise lacking(place, str(error.args[0]), _BUILD) from None
    return subject


# -- What one machine with Docker cannot have, or has in another way -----------------------------------------

_REFUSED: tuple[tuple[Callable[[StackPlan], tuple[str, ...]], str, str], ...] = (
    (
        asked.commands,
        "{} is a command of your own, and no image has it",
        'write run = "image:…", "pypi:…", "npm:…" or "project:…"',
    ),
    (asked.anybody, *UNASKED),
    (
        asked.identities,
        "{} wants an identity token of a platform, and one machine has none",
        "use `client_secret`",
    ),
)
"""What asks for it, why not, and what to do instead."""


def _check(stack: StackPlan) -> None:
    findings = [
        Finding(RULE, message.format(", ".join(names)), fix, "agent.toml")
        for asks, message, fix in _REFUSED
        if (names := asks(stack))
    ]
    if findings:
        raise SpecError(findings)


def _too_long(host: str) -> Finding:
    message = f"{host} has {len(host)} letters, and names of hosts have {_NAME} at most"
    return Finding(
        RULE, message, "give the agent, the environment or the MCP server a shorter name", "agent.toml"
    )


def remarks(subject: Subject) -> list[str]:
    """What this machine has in another way than agent.toml asks, and a release that is not of it."""
    stack = subject.stack
    count = stack.agent.replicas
    found = [f"one agent runs there, not {count}: replicas are for other targets"] if count > 1 else []
    shared = asked.sqlite(stack) if subject.loaded.spec.rollout else ()
    return [*_stale(subject), *_unwritable(subject), *found, *(_SHARED.format(place) for place in shared)]


def _stale(subject: Subject) -> list[str]:
    """Of a release that was named, nobody expects it. Sources that no commit names are not told apart."""
    if subject.named:
        return []
    try:
        here, built = read_project(subject.loaded), subject.release
    except SpecError:  # what is deployed is the release: the project may be gone
        return []
    if here.prompts_digest != built.prompts:
        return [f"the prompts here are not those of release {built.id}: `shipway build` takes them in"]
    if here.source.revision and here.source.revision != built.source.revision:
        made = (built.source.revision or "no commit")[:12]
        return [f"release {built.id} was built from {made}, and here is {here.source.revision[:12]}"]
    return []


def _unwritable(subject: Subject) -> list[str]:
    """A volume belongs to whom its path belongs to in the image, and this image has no such path."""
    storage, contents = subject.stack.storage, subject.release.contents
    if storage is None or contents is None:
        return []
    built = contents.settings.storage
    if built and built.path == storage.path:
        return []
    return [
        f"release {subject.release.id} was built without [storage] {storage.path}: the agent may not write "
        "there; `shipway build` takes it in"
    ]


_SHARED = (
    "while a rollout goes on, two revisions share {}, with the conversations in SQLite: they take turns to "
    "write, and see each other's files; PostgreSQL takes no turns: [storage] url"
)
