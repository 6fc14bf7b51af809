"""The types of agent.toml: `Spec` and its sections, frozen.

In: the tables of agent.toml, already merged for one environment, with lists as tuples. Out: typed values;
durations in seconds, sizes in bytes. reference.toml documents every key; a test holds the two together.
Reading and merging live in load.py, findings in diagnose.py, rules across keys in checks.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from shipway_runtime.contract import MESSAGE_LIMIT

# -- Values written as text ------------------------------------------------------------------------------

DURATION = r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$"
BYTES = r"^(\d+(?:\.\d+)?)(B|kB|KB|MB|GB|Ki|Mi|Gi|KiB|MiB|GiB)?$"
CPU = r"^(\d+(?:\.\d+)?)(m?)$"
RATE = r"^(\d+)([kKM]?)/(s|min|hour|h|day)$"
SPEND = r"^(\d+(?:\.\d+)?)USD/(hour|h|day)$"

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {None: 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_BYTES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PERIODS = {"s": 1, "min": 60, "h": 3600, "hour": 3600, "day": 86400}
_MULTIPLES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6}


@dataclass(frozen=True, slots=True)
class Expects:
    """What a value should be, in the words of agent.toml; findings and the reference print it."""

    words: str


def _match(pattern: str, value: Any) -> re.Match[str]:
    match = re.fullmatch(pattern, value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"does not match {pattern}")
    return match


def parse_duration(value: Any) -> float:
    """`"60s"` -> 60.0. Raises ValueError for anything that is not a number with ms, s, m, h or d."""
    match = _match(DURATION, value)
    return float(match[1]) * _SECONDS[match[2]]


def parse_bytes(value: Any) -> int:
    """`"300MB"` -> 300000000, `"1Gi"` -> 1073741824. Raises ValueError otherwise."""
    match = _match(BYTES, value)
    return int(float(match[1]) * _BYTES[match[2]])


def parse_cpu(value: Any) -> int:
    """`"100m"` -> 100 thousandths of a core, `"2"` -> 2000. Raises ValueError otherwise."""
    match = _match(CPU, value)
    return int(float(match[1]) * (1 if match[2] else 1000))


def parse_rate(value: Any) -> tuple[int, int]:
    """`"2M/day"` -> (2000000, 86400): amount and seconds. Raises ValueError otherwise."""
    match = _match(RATE, value)
    return int(match[1]) * _MULTIPLES[match[2]], _PERIODS[match[3]]


def parse_spend(value: Any) -> tuple[float, int]:
    """`"20USD/day"` -> (20.0, 86400): US dollars and seconds. Raises ValueError otherwise."""
    match = _match(SPEND, value)
    return float(match[1]), _PERIODS[match[2]]


def _text(pattern: str) -> Any:
    return Annotated[str, StringConstraints(pattern=pattern)]


Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=_text(DURATION)),
    Expects('a duration such as "500ms", "60s", "5m" or "1h"'),
]
Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes, json_schema_input_type=_text(BYTES)),
    Expects('a size such as "300MB", "512Mi" or "1Gi"'),
]
Cpu = Annotated[
    int,
    BeforeValidator(parse_cpu, json_schema_input_type=_text(CPU)),
    Expects('CPU in quotes, such as "100m" (a tenth of a core) or "2"'),
]
Rate = Annotated[
    tuple[int, int],
    BeforeValidator(parse_rate, json_schema_input_type=_text(RATE)),
    Expects('a rate such as "60/min" or "2M/day"'),
]
Spend = Annotated[
    tuple[float, int],
    BeforeValidator(parse_spend, json_schema_input_type=_text(SPEND)),
    Expects('a budget such as "20USD/day"'),
]
Label = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"),
    Expects("a DNS label: lower-case letters, digits and -, at most 40"),
]
SecretName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Expects("the name of a secret: letters, digits and _, such as CRM_TOKEN"),
]
HeaderName = Annotated[
    str,
    StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
    Expects("the name of an HTTP header: letters, digits and -, such as X-Api-Key"),
]
VariableName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Expects("the name of an environment variable: letters, digits and _, such as CATALOG_URL"),
]
Entrypoint = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\(\))?$"),
    Expects('"module:attribute", such as "support.agent:agent", or "module:make()" for a factory'),
]
Provider = Annotated[
    str,
    StringConstraints(pattern=r"^(anthropic|openai|gemini|https?://\S+)$"),
    Expects('"anthropic", "openai", "gemini", or the URL of an endpoint that speaks one of them'),
]
Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s/]\S*$"),
    Expects('a URL such as "https://host.example.com/path"'),
]
AbsolutePath = Annotated[
    str, StringConstraints(pattern=r"^/[^\s]*[^\s/]$"), Expects('an absolute path such as "/data"')
]
Platform = Literal["linux/amd64", "linux/arm64"]
Scalar = Annotated[
    str | bool | int | float | tuple[str, ...] | tuple[int, ...] | tuple[float, ...],
    Expects("text, a number, true or false, or a list of texts or of numbers"),
]


class Section(BaseModel):
    """A table of agent.toml: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


# -- Sections ----------------------------------------------------------------------------------------------


class Image(Section):
    repository: str | None = None
    base: str = "minimal"
    packages: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    include: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    ca: str | None = None
    mirror: str | None = None
    size: Bytes | None = None


class Model(Section):
    provider: Provider
    name: str
    fallbacks: tuple[str, ...] = ()
    max_tokens: int | None = Field(default=None, ge=1)
    timeout: Duration | None = None


class BrokerSecret(Section):
    """A token endpoint: OAuth 2.0 client credentials, or RFC 8693 with `identity_token`."""

    token_url: Url
    client_id: str
    client_secret: SecretName | None = None
    identity_token: AbsolutePath | None = None
    scope: str | None = None


class StoredSecret(Section):
    """Where an orchestrator keeps a secret; the runtime sees it as its environment or a file."""

    kubernetes: str | None = None
    ecs: str | None = None
    nomad: str | None = None


SecretSource = Annotated[
    Literal["env", "file"] | BrokerSecret | StoredSecret,
    Expects('"env", "file", or a table that names a broker (token_url) or a store (kubernetes, ecs, nomad)'),
]


class Tools(Section):
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class ServerResources(Section):
    cpu: Cpu | None = None
    memory: Bytes | None = None


Shape = Literal["inside", "sidecar", "service"]
Run = Annotated[
    str | tuple[str, ...],
    Expects('"pypi:…", "npm:…", "image:…", "project:module", or a command as a list: ["server", "--flag"]'),
]


class Mcp(Section):
    shape: Shape = "inside"
    """Where agent.toml does not say: `service` for a `url` without `run`, else `inside`."""
    run: Run | None = None
    args: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    storage: bool = False
    env: dict[str, str] = {}
    secrets: tuple[SecretName, ...] = ()
    tools: Tools = Tools.model_construct()
    resources: ServerResources = ServerResources.model_construct()
    timeout: Duration = 30.0
    concurrency: int = Field(default=8, ge=1)
    message_limit: Bytes = MESSAGE_LIMIT
    optional: bool = False
    url: Url | None = None
    auth: SecretName | None = None
    headers: dict[HeaderName, SecretName] = {}

    @model_validator(mode="before")
    @classmethod
    def _default_shape(cls, data: Any) -> Any:
        if isinstance(data, dict) and "shape" not in data and "url" in data and "run" not in data:
            return {**data, "shape": "service"}
        return data


class Service(Section):
    image: str
    env_url: VariableName


class Api(Section):
    auth: Literal["keys", "jwt", "none"] | None = None
    keys: SecretName | None = None
    jwks: Url | None = None
    tenant_claim: str | None = None
    body_limit: Bytes = 4_000_000


class Resources(Section):
    cpu: Cpu = 100
    memory: Bytes = 512 * 2**20
    replicas: int = Field(default=1, ge=1)


class SecretRef(Section):
    secret: SecretName


class Storage(Section):
    path: AbsolutePath = "/data"
    size: Bytes = 2**30
    url: SecretRef | None = None


class Health(Section):
    when_model_down: Literal["unready", "degraded"] = "unready"
    grace: Duration = 60.0


class Policy(Section):
    requests: Rate | None = None
    concurrency: int | None = Field(default=None, ge=1)
    tokens: Rate | None = None
    spend: Spend | None = None


class Evals(Section):
    suite: str
    scorer: str | None = None
    command: str | None = None
    live: str | None = None
    sample: float = Field(default=0.1, ge=0, le=1)


class Step(Section):
    weight: int = Field(ge=1, le=100)
    hold: Duration | None = None


class Gate(Section):
    margin: float | None = Field(default=None, ge=0, le=1)


class Gates(Section):
    evals: Gate | None = None
    live: Gate | None = None
    errors: Gate | None = None
    latency: Gate | None = None
    cost: Gate | None = None
    tools: Gate | None = None


class Rollout(Section):
    steps: tuple[Step, ...]
    gates: Gates = Gates.model_construct()
    alpha: float = Field(default=0.05, gt=0, lt=1)


class Notify(Section):
    webhook: SecretName


class Kubernetes(Section):
    namespace: str | None = None


# -- What differs in an environment or for a tenant: the same keys, each optional ----------------------------


class EnvModel(Section):
    provider: Provider | None = None
    name: str | None = None
    fallbacks: tuple[str, ...] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    timeout: Duration | None = None


class EnvResources(Section):
    cpu: Cpu | None = None
    memory: Bytes | None = None
    replicas: int | None = Field(default=None, ge=1)


class EnvApi(Section):
    auth: Literal["keys", "jwt", "none"] | None = None
    keys: SecretName | None = None
    jwks: Url | None = None
    tenant_claim: str | None = None
    body_limit: Bytes | None = None


class EnvStorage(Section):
    path: AbsolutePath | None = None
    size: Bytes | None = None
    url: SecretRef | None = None


class EnvHealth(Section):
    when_model_down: Literal["unready", "degraded"] | None = None
    grace: Duration | None = None


class Env(Section):
    model: EnvModel | None = None
    config: dict[str, Scalar] = {}
    resources: EnvResources | None = None
    api: EnvApi | None = None
    storage: EnvStorage | None = None
    health: EnvHealth | None = None
    policy: Policy | None = None
    secrets: dict[SecretName, SecretSource] = {}
    kubernetes: Kubernetes | None = None


class Tenant(Section):
    model: EnvModel | None = None
    config: dict[str, Scalar] = {}


class Spec(Section):
    """One agent, as agent.toml says, for one environment. `name` and `entrypoint` alone are enough."""

    name: Label
    entrypoint: Entrypoint
    prompts: str | None = None
    image: Image = Image.model_construct()
    model: Model | None = None
    secrets: dict[SecretName, SecretSource] = {}
    mcp: dict[Label, Mcp] = {}
    services: dict[Label, Service] = {}
    api: Api = Api.model_construct()
    resources: Resources = Resources.model_construct()
    storage: Storage | None = None
    health: Health = Health.model_construct()
    config: dict[str, Scalar] = {}
    policy: Policy = Policy.model_construct()
    evals: Evals | None = None
    rollout: Rollout | None = None
    notify: Notify | None = None
    env: dict[Label, Env] = {}
    tenants: dict[Label, Tenant] = {}
