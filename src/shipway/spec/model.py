"""The types of agent.toml: `Spec` and its sections, frozen.

In: the tables of agent.toml, already merged for one environment, with lists as tuples. Out: typed values;
durations in seconds, sizes in bytes. reference.toml documents every key; a test holds the two together.
What single values may be is in values.py, reading and merging in load.py, findings in diagnose.py, rules
across keys in checks.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shipway.spec.values import (
    AbsolutePath,
    Bytes,
    Cpu,
    Duration,
    Entrypoint,
    Expects,
    FunctionName,
    HeaderName,
    Label,
    Network,
    Platform,
    Provider,
    Rate,
    Scalar,
    SecretName,
    Spend,
    TenantName,
    Url,
    VariableName,
)
from shipway_runtime.contract import MESSAGE_LIMIT


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


class Price(Section):
    """US dollars for a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Model(Section):
    provider: Provider
    name: str
    fallbacks: tuple[str, ...] = ()
    max_tokens: int | None = Field(default=None, ge=1)
    timeout: Duration | None = None
    prices: dict[str, Price] = {}


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
    audience: str | None = None
    issuer: str | None = None
    tenant_claim: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    body_limit: Bytes = 4_000_000
    timeout: Duration = 600.0
    when_busy: Literal["wait", "refuse"] = "wait"


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
    suite: str = "evals/*.jsonl"
    scorer: FunctionName | None = None
    command: str | None = None
    judge: str | None = None
    required: float = Field(default=1.0, gt=0, le=1)
    live: Entrypoint | None = None
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
    prices: dict[str, Price] | None = None


class EnvResources(Section):
    cpu: Cpu | None = None
    memory: Bytes | None = None
    replicas: int | None = Field(default=None, ge=1)


class EnvApi(Section):
    auth: Literal["keys", "jwt", "none"] | None = None
    keys: SecretName | None = None
    jwks: Url | None = None
    audience: str | None = None
    issuer: str | None = None
    tenant_claim: str | None = None
    trusted_proxies: tuple[Network, ...] | None = None
    body_limit: Bytes | None = None
    timeout: Duration | None = None
    when_busy: Literal["wait", "refuse"] | None = None


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
    tenants: dict[TenantName, Tenant] = {}

    @property
    def live(self) -> str | None:
        """The function that scores real turns, where there is one."""
        return self.evals.live if self.evals else None
