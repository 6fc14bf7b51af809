"""(Loaded spec) -> StackPlan: what runs beside what, for one environment.

In: a loaded agent.toml. Out: a frozen value that names every container or process of the stack with the
contract of the container (its ports, its paths); renderers turn it into files, `local` into processes on
free ports. Nothing here reads a file or the environment.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from shipway.plan import servers
from shipway.plan.control import Control, plan_control
from shipway.plan.own_image import REPLAY
from shipway.plan.sdk_variables import placeholders, replayed
from shipway.plan.servers import ServerProgram
from shipway.plan.settings import live, settings, tenant_settings
from shipway.spec.model import StoredSecret
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.spec import model
    from shipway.spec.load import Loaded

DEVELOPMENT = "development"
REPLAYS = "replays"
"""The directory of a project's recordings and scripted replies."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Requests: thousandths of a core, and bytes. CPU may burst; memory may not."""

    cpu: int
    memory: int


@dataclass(frozen=True, slots=True)
class ServerResources:
    """The same of a sidecar; None where agent.toml leaves it to the orchestrator."""

    cpu: int | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """The one writable place besides /tmp: where it is mounted, and how large it is in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent's container. `secrets` says for each name how its value arrives: env or file."""

    entrypoint: str
    image: str
    ports: dict[Literal["api", "admin", "relay"], int]
    env: dict[str, str]
    secrets: dict[str, Literal["env", "file", "broker"]]
    mcp: tuple[contract.McpServer, ...]
    inside: dict[str, ServerProgram]
    resources: Resources
    replicas: int
    grace_s: float
    live: contract.Live | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """Where orchestrators keep a secret; None where agent.toml does not say."""

    kubernetes: str | None = None
    ecs: str | None = None
    nomad: str | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """An MCP server in a container of its own, beside the agent or, as a service, apart from it.

    In an image that we built the relay listens on `port`, in front of `program` over stdio; without a
    `program` the image is somebody else's, and speaks HTTP there itself. `command` are Python's arguments
    where the container starts with others than its image.
    """

    name: str
    image: str
    program: ServerProgram | None
    port: int
    env: dict[str, str]
    secrets: dict[str, Literal["env", "file", "broker"]]
    storage: bool
    optional: bool
    resources: ServerResources = ServerResources()
    message_limit: int = contract.MESSAGE_LIMIT
    path: str = "/mcp"
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A database or cache: run in development, elsewhere given by the URL in `env_url`."""

    name: str
    image: str
    kind: Literal["postgres", "redis", "other"]
    env_url: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The model API, replayed, on loopback of the agent's network.

    `directory` is the project's, and `mount` where the replay's container has it; the tag of `image` is
    shipway's version. `placeholders` stand in for keys that nobody needs to have.
    """

    image: str
    directory: str
    mount: str
    port: int
    placeholders: dict[str, str]


@dataclass(frozen=True, slots=True)
class StackPlan:
    """Everything that runs for one agent in one environment.

    `apart` are the MCP servers that are deployed as services. `control` is there outside development.
    `stores` says of secrets where orchestrators keep them, `namespace` is Kubernetes'. Images are for
    `platforms`; they have a digest, and `revision` is known, with a release.
    """

    name: str
    environment: str
    config: contract.Config
    agent: Agent
    sidecars: tuple[Sidecar, ...] = ()
    apart: tuple[Sidecar, ...] = ()
    services: tuple[Service, ...] = ()
    storage: Volume | None = None
    replay: Replay | None = None
    control: Control | None = None
    prompts: str | None = None
    stores: dict[str, Stored] = field(default_factory=dict)
    namespace: str | None = None
    revision: str | None = None
    platforms: tuple[str, ...] = ("linux/amd64",)


def plan_stack(
    loaded: Loaded, environment: str = DEVELOPMENT, release: contract.Release | None = None
) -> StackPlan:
    """The stack of one environment; `development` adds the replay and placeholders for its keys.

    With a release its images are named by digest. Raises KeyError for a release that lacks one of them.
    """
    spec = loaded.spec
    replay = plan_replay(spec) if environment == DEVELOPMENT and spec.model else None
    control = plan_control(spec) if environment != DEVELOPMENT else None
    own = [_sidecar(spec, name) for name in servers.places(spec)]
    plan = StackPlan(
        name=spec.name,
        environment=environment,
        config=contract.Config(
            environment,
            settings(spec),
            tenant_settings(spec, loaded.tenants),
            dict(loaded.provenance),
        ),
        agent=_agent(spec, environment, replay, control),
        sidecars=tuple(server for server in own if spec.mcp[server.name].shape == "sidecar"),
        apart=tuple(server for server in own if spec.mcp[server.name].shape == "service"),
        services=tuple(_service(name, service) for name, service in spec.services.items()),
        storage=Volume(spec.storage.path, spec.storage.size) if spec.storage else None,
        replay=replay,
        control=control,
        prompts=spec.prompts,
        stores=_stores(spec),
        namespace=_namespace(spec, environment),
        platforms=servers.platforms(spec),
    )
    return released(plan, release) if release else plan


def released(plan: StackPlan, release: contract.Release) -> StackPlan:
    """The stack with the release's images, by digest, as one revision."""
    revision = contract.name_revision(release.id, contract.encode(plan.config))
    named = {contract.env.REVISION: revision}
    return dataclasses.replace(
        plan,
        agent=dataclasses.replace(plan.agent, image=release.images["agent"], env=plan.agent.env | named),
        sidecars=tuple(_released(server, release, named) for server in plan.sidecars),
        apart=tuple(_released(server, release, named) for server in plan.apart),
        control=_pinned(plan.control, release),
        revision=revision,
    )


def _released(server: Sidecar, release: contract.Release, named: dict[str, str]) -> Sidecar:
    """An image of ours has the relay, which names the revision in its log; of others nothing is known."""
    if server.program is None:
        return server
    return dataclasses.replace(server, image=release.images[f"mcp-{server.name}"], env=server.env | named)


def _pinned(control: Control | None, release: contract.Release) -> Control | None:
    """By digest, where the release knows it: `shipway control image --push` tells it."""
    if control is None:
        return None
    return dataclasses.replace(control, image=release.images.get("control", control.image))


def _stores(spec: model.Spec) -> dict[str, Stored]:
    kept = {name: source for name, source in spec.secrets.items() if isinstance(source, StoredSecret)}
    return {name: Stored(source.kubernetes, source.ecs, source.nomad) for name, source in kept.items()}


def _namespace(spec: model.Spec, environment: str) -> str | None:
    own = spec.env.get(environment)
    return own.kubernetes.namespace if own and own.kubernetes else None


def _agent(spec: model.Spec, environment: str, replay: Replay | None, control: Control | None) -> Agent:
    inside = {name: servers.program(s) for name, s in spec.mcp.items() if s.shape == "inside"}
    env = {contract.env.ENVIRONMENT: environment}
    env |= replayed(replay.port) if replay else {}
    env |= {contract.env.CONTROL_URL: control.url} if control else {}
    return Agent(
        entrypoint=spec.entrypoint,
        image=servers.image_name(spec),
        ports={"api": contract.API_PORT, "admin": contract.ADMIN_PORT, "relay": contract.RELAY_PORT},
        env=env,
        secrets=_sources(spec, tuple(spec.secrets)),
        mcp=servers.relay_servers(spec),
        inside={name: found for name, found in inside.items() if found},
        resources=Resources(spec.resources.cpu, spec.resources.memory),
        replicas=spec.resources.replicas,
        grace_s=spec.health.grace,
        live=live(spec),
    )


def _sidecar(spec: model.Spec, name: str) -> Sidecar:
    server = spec.mcp[name]
    started = servers.program(server)
    place = servers.places(spec)[name]
    of_agent = started is not None and started.kind == "project"
    own = servers.image_name(spec, None if of_agent else name)
    return Sidecar(
        name=name,
        image=servers.given_image(server) or own,
        program=started,
        port=place.port,
        path=place.path,
        command=_command(server, name, place, started) if started else (),
        env=servers.environment(server, started) if started else server.env | {"PORT": str(place.port)},
        secrets=_sources(spec, server.secrets),
        storage=server.storage,
        optional=server.optional,
        resources=ServerResources(server.resources.cpu, server.resources.memory),
        message_limit=server.message_limit,
    )


def _command(server: model.Mcp, name: str, place: servers.Place, started: ServerProgram) -> tuple[str, ...]:
    """An image of ours starts its own relay, for a sidecar; the agent's image has to be told."""
    if started.kind != "project" and server.shape == "sidecar":
        return ()
    own = started.command(servers.environment_path(name), f"{contract.VENV}/bin/python")
    apart = server.shape == "service"
    return servers.relay_arguments(name, place.port, own, server.message_limit, apart=apart)


def _sources(spec: model.Spec, names: tuple[str, ...]) -> dict[str, Literal["env", "file", "broker"]]:
    sources = settings(spec).secrets
    return {name: sources[name].source for name in names}


def _service(name: str, service: model.Service) -> Service:
    program = service.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    kinds: dict[str, Literal["postgres", "redis"]] = {"postgres": "postgres", "redis": "redis"}
    return Service(name, service.image, kinds.get(program, "other"), service.env_url)


def plan_replay(spec: model.Spec) -> Replay:
    """The replay of a project, with placeholders for its model's key and for every key it declares."""
    provider = spec.model.provider if spec.model else ""
    keys = placeholders(provider, spec.secrets)
    return Replay(REPLAY.reference, REPLAYS, contract.REPLAYS, contract.REPLAY_PORT, keys)
