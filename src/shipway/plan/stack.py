"""(Loaded spec) -> StackPlan: what runs beside what, for one environment.

In: a loaded agent.toml. Out: a frozen value that names every container or process of the stack with the
contract of the container (its ports, its paths); renderers turn it into files, `local` into processes on
free ports. Nothing here reads a file or the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipway.plan import replay_image, servers
from shipway.plan.sdk_variables import base_urls, placeholders
from shipway.plan.servers import ServerProgram
from shipway.plan.settings import settings, tenant_settings
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


@dataclass(frozen=True, slots=True)
class Sidecar:
    """An MCP server beside the agent: the relay on `port`, in front of `program` over stdio."""

    name: str
    image: str
    program: ServerProgram
    port: int
    env: dict[str, str]
    secrets: dict[str, Literal["env", "file", "broker"]]
    storage: bool
    optional: bool
    resources: ServerResources = ServerResources()
    message_limit: int = contract.MESSAGE_LIMIT


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

    `directory` is the project's, and `mount` where the replay's container has it; `image` has no tag, as it
    is that of shipway's own version. `placeholders` stand in for keys that nobody needs to have.
    """

    image: str
    directory: str
    mount: str
    port: int
    placeholders: dict[str, str]


@dataclass(frozen=True, slots=True)
class StackPlan:
    """Everything that runs for one agent in one environment."""

    name: str
    environment: str
    config: contract.Config
    agent: Agent
    sidecars: tuple[Sidecar, ...] = ()
    services: tuple[Service, ...] = ()
    storage: Volume | None = None
    replay: Replay | None = None
    prompts: str | None = None


def plan_stack(loaded: Loaded, environment: str = DEVELOPMENT) -> StackPlan:
    """The stack of one environment; `development` adds the replay and placeholders for its keys."""
    spec = loaded.spec
    replay = plan_replay(spec) if environment == DEVELOPMENT and spec.model else None
    ports = servers.sidecar_ports(spec)
    return StackPlan(
        name=spec.name,
        environment=environment,
        config=contract.Config(
            environment,
            settings(spec),
            tenant_settings(spec, loaded.tenants),
            dict(loaded.provenance),
        ),
        agent=_agent(spec, environment, replay),
        sidecars=tuple(_sidecar(spec, name, port) for name, port in ports.items()),
        services=tuple(_service(name, service) for name, service in spec.services.items()),
        storage=Volume(spec.storage.path, spec.storage.size) if spec.storage else None,
        replay=replay,
        prompts=spec.prompts,
    )


def _agent(spec: model.Spec, environment: str, replay: Replay | None) -> Agent:
    inside = {name: servers.program(s) for name, s in spec.mcp.items() if s.shape == "inside"}
    return Agent(
        entrypoint=spec.entrypoint,
        image=servers.image_name(spec),
        ports={"api": contract.API_PORT, "admin": contract.ADMIN_PORT, "relay": contract.RELAY_PORT},
        env={contract.env.ENVIRONMENT: environment} | (base_urls(replay.port) if replay else {}),
        secrets=_sources(spec, tuple(spec.secrets)),
        mcp=servers.relay_servers(spec),
        inside={name: found for name, found in inside.items() if found},
        resources=Resources(spec.resources.cpu, spec.resources.memory),
        replicas=spec.resources.replicas,
        grace_s=spec.health.grace,
    )


def _sidecar(spec: model.Spec, name: str, port: int) -> Sidecar:
    server = spec.mcp[name]
    started = servers.program(server)
    if started is None:
        raise ValueError(f"sidecar {name} has no program")  # load.py refuses it first
    return Sidecar(
        name=name,
        image=servers.image_name(spec, None if started.kind == "project" else name),
        program=started,
        port=port,
        env=dict(server.env),
        secrets=_sources(spec, server.secrets),
        storage=server.storage,
        optional=server.optional,
        resources=ServerResources(server.resources.cpu, server.resources.memory),
        message_limit=server.message_limit,
    )


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
    return Replay(replay_image.NAME, REPLAYS, contract.REPLAYS, contract.REPLAY_PORT, keys)
