"""What runs, whoever runs it: the model that most rules look at.

Out: `Workload`, a group of containers that live and die together: a pod, an ECS task, a Compose service with
those that share its network. Adapters make it, one a format. Seconds, bytes and cores; None where nothing is
said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipway.check.dockerfiles.shell import read_words
from shipway.check.manifests.nodes import Node

if TYPE_CHECKING:
    from shipway.check.dockerfiles.shell import Command

Platform = Literal["kubernetes", "compose", "ecs"]
Role = Literal["main", "sidecar", "init"]

DATABASES = frozenset(
    {
        *("postgres", "postgresql", "pgvector", "pgbouncer", "mysql", "mariadb", "mongo", "mongodb", "redis"),
        *("valkey", "memcached", "rabbitmq", "kafka", "nats", "elasticsearch", "opensearch", "qdrant"),
        *("weaviate", "milvus", "chroma", "minio", "etcd", "zookeeper", "neo4j", "clickhouse-server"),
        *("nginx", "traefik", "haproxy", "caddy", "envoy", "prometheus", "grafana", "jaeger", "otel"),
        *("opentelemetry-collector", "opentelemetry-collector-contrib", "vault", "keycloak", "adminer"),
        "shipway-control",
    }
)
"""Images, by their last word, that are not an agent and know themselves how they are run."""
_MCP = re.compile(r"(^|[^a-z])mcp([^a-z]|$)")
_AGENT = re.compile(r"(^|[^a-z])(agents?|llm|chat|chatbot|bot|assistant|copilot|rag)([^a-z]|$)")
_MODEL_KEY = re.compile(
    r"(ANTHROPIC|OPENAI|AZURE_OPENAI|GEMINI|GOOGLE|MISTRAL|GROQ|OPENROUTER|COHERE|BEDROCK)_\w*(KEY|TOKEN|URL)\w*"
    r"|SHIPWAY_\w+"
)


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that the platform asks again and again. `failures` in a row are an answer."""

    kind: Literal["startup", "liveness", "readiness"]
    line: int
    target: str
    """What is asked, in one text: `GET :8080/health`, `tcp :8080`, a command."""
    path: str = ""
    is_tcp: bool = False
    from_outside: bool = False
    """Whether it comes over the network, so that loopback does not hear it."""
    delay: float = 0
    period: float = 10
    timeout: float = 1
    failures: float = 3

    @property
    def patience(self) -> float:
        """The shortest silence, in seconds, after which it gives up."""
        return (self.failures - 1) * self.period + self.timeout


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment; None for a value that comes from elsewhere."""

    name: str
    value: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume, by its name in the workload, at a path; `part` is the subPath of it."""

    volume: str
    path: str
    line: int
    part: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """`source` is a kind that the platform knows: secret, configMap, emptyDir, claim, host."""

    name: str
    source: str
    target: str
    line: int


@dataclass(frozen=True, slots=True)
class Resources:
    """Cores and bytes."""

    cpu: float | None = None
    cpu_limit: float | None = None
    memory_limit: float | None = None
    line: int = 0
    cpu_limit_line: int = 0


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a container may do. A user of None is the image's."""

    user: str | None = None
    not_root: bool = False
    privileged: bool = False
    read_only_root: bool = False
    missing: tuple[str, ...] = ()
    """What restricted Pod Security would still ask for."""
    powers: tuple[str, ...] = ()
    """Dangerous capabilities that are added."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """One container. `command` is all that is written of it: entry point and arguments."""

    name: str
    role: Role
    line: int
    image: str = ""
    image_line: int = 0
    built: bool = False
    """Whether its image is built beside the manifest."""
    command: tuple[str, ...] = ()
    command_line: int = 0
    native: bool = False
    """Whether a sidecar is started before the agent, and stopped after it, by the platform."""
    published: bool = False
    probes: tuple[Probe, ...] = ()
    env: tuple[Variable, ...] = ()
    mounts: tuple[Mount, ...] = ()
    resources: Resources = Resources()
    confinement: Confinement = Confinement()
    pre_stop: float | None = None
    """Seconds that it waits before SIGTERM: 0 where that is not known, None where there is no hook."""
    stop: float | None = None
    """Seconds between SIGTERM and SIGKILL where the platform says it for each container."""
    needs_stdin: bool = False

    @property
    def program(self) -> str:
        """The last word of the image's name, without tag."""
        return self.image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()

    @property
    def is_backing(self) -> bool:
        """Whether it is a database, a proxy or the like that others made."""
        return self.program in DATABASES

    @property
    def is_mcp(self) -> bool:
        return any(_MCP.search(t.lower()) for t in (self.name, self.program, " ".join(self.command)))

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands that starting it runs, as far as the manifest says."""
        return tuple(read_words(self.command))

    def probe(self, kind: str) -> Probe | None:
        return next((probe for probe in self.probes if probe.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Workload:
    """Containers that live and die together, `replicas` times."""

    platform: Platform
    kind: str
    name: str
    file: str
    line: int
    last: int
    containers: tuple[Container, ...]
    spec: Node
    """What it was made from, for rules that only one platform needs."""
    volumes: tuple[Volume, ...] = ()
    labels: Mapping[str, str] | None = None
    replicas: float = 1
    grace: float | None = None
    """Seconds between the end's beginning and SIGKILL, None where nothing is said."""
    grace_line: int = 0
    runs_on: bool = True
    """Whether it is meant to run for ever: no Job."""
    partial: bool = False
    """Whether it is laid over another, which has what it lacks: a patch, `extends`."""
    development: bool = False
    token: bool = False
    """Whether it is given a token for the API of Kubernetes that nobody asked for."""

    @property
    def mains(self) -> tuple[Container, ...]:
        """The agent's own container; databases and the like are none."""
        return tuple(c for c in self.containers if c.role == "main" and not c.is_backing)

    @property
    def sidecars(self) -> tuple[Container, ...]:
        return tuple(c for c in self.containers if c.role == "sidecar")

    @property
    def own(self) -> tuple[Container, ...]:
        """All but databases and the like."""
        return tuple(c for c in self.containers if not c.is_backing)

    @property
    def is_agent(self) -> bool:
        """Whether it looks like an agent: by its names, its MCP servers, its model's key."""
        return bool(self.mains) and (
            any(_AGENT.search(text.lower()) for c in self.mains for text in (self.name, c.name, c.program))
            or any(c.is_mcp for c in self.sidecars)
            or any(_MODEL_KEY.fullmatch(variable.name) for c in self.mains for variable in c.env)
        )

    def volume(self, name: str) -> Volume | None:
        return next((volume for volume in self.volumes if volume.name == name), None)
