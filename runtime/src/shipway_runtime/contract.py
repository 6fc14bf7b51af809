"""What the tool and the runtime have agreed on: names, paths, ports and formats.

In: nothing; this module imports the standard library alone, because both sides load it first.
Out: the names of environment variables, the paths and ports of the container, and the frozen types of the
manifest, the config, the policy, the outcome and the release, each with `encode` and `decode` to JSON.

`FORMAT` is the version of every format here. A reader refuses a newer one and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from . import codec
from .codec import FORMAT as FORMAT
from .codec import ContractError as ContractError
from .codec import encode as encode
from .policies import CONTROL_POLICY as CONTROL_POLICY
from .policies import NO_POLICY as NO_POLICY
from .policies import RESTRICTION_LIMIT_S as RESTRICTION_LIMIT_S
from .policies import RESTRICTION_S as RESTRICTION_S
from .policies import Kill as Kill
from .policies import Limits as Limits
from .policies import Policy as Policy
from .policies import Restricted as Restricted
from .policies import Restriction as Restriction
from .reports import OUTCOMES_PATH as OUTCOMES_PATH
from .reports import OUTCOMES_TYPE as OUTCOMES_TYPE
from .reports import REPLICAS_PATH as REPLICAS_PATH
from .reports import REPORT_EVERY_S as REPORT_EVERY_S
from .reports import CheckReport as CheckReport
from .reports import Outcome as Outcome
from .reports import ReplicaReport as ReplicaReport
from .reports import TokenCounts as TokenCounts
from .revisions import REVISION as REVISION
from .revisions import REVISION_WORDS as REVISION_WORDS
from .revisions import UNRELEASED as UNRELEASED
from .revisions import config_digest as config_digest
from .revisions import name_revision as name_revision
from .revisions import running_revision as running_revision
from .texts import TEXT_LIMIT as TEXT_LIMIT
from .texts import TURNS_PATH as TURNS_PATH
from .texts import WORTH_READING as WORTH_READING
from .texts import Deletion as Deletion
from .texts import Said as Said
from .texts import ToolUse as ToolUse
from .texts import TurnText as TurnText
from .variables import BASE_URL_VARIABLES as BASE_URL_VARIABLES
from .variables import CHILD_VARIABLES as CHILD_VARIABLES
from .variables import PROVIDER_HOSTS as PROVIDER_HOSTS
from .variables import PROVIDER_URLS as PROVIDER_URLS
from .variables import env as env

# -- Ports: the image's defaults; each has an override in the environment ------------------------------

API_PORT = 8080
ADMIN_PORT = 8081
RELAY_PORT = 8082
SIDECAR_PORT = 8100  # the first sidecar's; the next ones count up in the order of agent.toml
REPLAY_PORT = 8090
CONTROL_PORT = 8083

# -- Paths in the image ---------------------------------------------------------------------------------

APP = "/app"
VENV = "/app/.venv"
SOURCE = "/app/src"
PROMPTS = "/app/prompts"
MCP = "/app/mcp"
NODE = "/app/node"  # shared by every MCP server from npm
MANIFEST = "/app/shipway.json"

# -- Paths that a stack mounts ---------------------------------------------------------------------------

CONFIG = "/etc/shipway/config.json"
POLICY = "/etc/shipway/policy.json"
SECRETS = "/run/secrets"
REPLAYS = "/replays"  # into the replay's container
CONTROL_DATA = "/data"  # into control's


def admin_token_file(port: int) -> str:
    """Where a process whose admin port is `port` leaves the token that it made, when nobody gave one."""
    return f"/tmp/shipway-admin-{port}.token"  # noqa: S108 - written with care, see admin/token.py


MESSAGE_LIMIT = 16_000_000  # bytes of one MCP message, where agent.toml says nothing

UID = 65532  # user and group of every container; "nonroot" in distroless images


REVISION_HEADER = "x-shipway-revision"
REPLAY_HEADER = "x-shipway-replay"  # of every answer that a replay gives in a model's place
CONVERSATION_HEADER = "x-conversation-id"
TENANT_HEADER = "x-shipway-tenant"  # counts from trusted proxies alone
TENANT_NAME = (
    r"[A-Za-z0-9._@|:+-]{1,128}"  # what identities in use are made of; a header and a log can carry it
)
TENANT_WORDS = "letters, digits and . _ - @ | : +, at most 128"


def response_id(conversation: str, turn: int) -> str:
    """`resp_<conversation>_<turn>`: a router can pin a conversation by any of its response ids."""
    return f"resp_{conversation}_{turn}"


def parse_response_id(value: str) -> tuple[str, int] | None:
    """The conversation and turn of a response id, or None when it is not one of ours."""
    match = re.fullmatch(r"resp_([A-Za-z0-9_-]+)_([0-9]{1,9})", value)
    return (match[1], int(match[2])) if match else None


# -- Settings: what may differ between environments and tenants ------------------------------------------


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class Model:
    """The model the agent talks to. `provider` is anthropic, openai, gemini, or a URL that speaks one."""

    provider: str
    name: str
    fallbacks: tuple[str, ...] = ()
    max_tokens: int | None = None
    timeout_s: float | None = None
    prices: dict[str, Price] = field(default_factory=dict)  # model -> price; of fallbacks, too


@dataclass(frozen=True, slots=True)
class Broker:
    """A token endpoint: OAuth 2.0 client credentials, or RFC 8693 when `identity_token` names a file."""

    token_url: str
    client_id: str
    client_secret: str | None = None  # the name of another secret
    identity_token: str | None = None  # path of a projected token
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """Where one secret comes from at run time. Its value is never part of any format."""

    source: Literal["env", "file", "broker"]
    broker: Broker | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """Who may call. `auth` is None where agent.toml does not say: allowed in development alone."""

    auth: Literal["keys", "jwt", "none"] | None = None
    keys: str | None = None
    jwks: str | None = None
    audience: str | None = None  # what a token has to be for
    issuer: str | None = None  # and from
    tenant_claim: str | None = None
    trusted_proxies: tuple[str, ...] = ()  # networks whose tenant header counts
    body_limit: int = 4_000_000  # bytes
    timeout_s: float = 600.0  # of a turn
    when_busy: Literal["wait", "refuse"] = "wait"  # a second turn of a conversation that has one running


@dataclass(frozen=True, slots=True)
class Storage:
    """The agent's volume, and the secret that holds a PostgreSQL URL when conversations live there."""

    path: str
    url_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    when_model_down: Literal["unready", "degraded"] = "unready"
    grace_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What may differ between environments; the manifest holds the file's, the config an environment's."""

    model: Model | None = None
    config: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    api: Api = field(default_factory=Api)
    storage: Storage | None = None
    health: Health = field(default_factory=Health)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """What differs for one tenant. What it leaves out is the environment's: the model, each key of config."""

    model: Model | None = None
    config: dict[str, Any] = field(default_factory=dict)


# -- Manifest and config ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolFilter:
    """`allow` empty means every tool; `deny` wins."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def allows(self, tool: str) -> bool:
        return tool not in self.deny and (not self.allow or tool in self.allow)


@dataclass(frozen=True, slots=True)
class McpServer:
    """One MCP server as the relay sees it: a command for `inside`, a URL for `sidecar` and `service`."""

    name: str
    shape: Literal["inside", "sidecar", "service"]
    command: tuple[str, ...] = ()
    url: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    auth: str | None = None  # the secret whose value goes into Authorization: Bearer
    headers: dict[str, str] = field(default_factory=dict)  # of each request: name -> secret
    tools: ToolFilter = field(default_factory=ToolFilter)
    timeout_s: float = 30.0
    concurrency: int = 8
    message_limit: int = MESSAGE_LIMIT  # bytes of one message, in either direction
    memory: int | None = None  # bytes that an inside server's process may allocate
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """The scorer of real turns, `module:name`, and the share of conversations that it sees, from 0 to 1."""

    entrypoint: str
    sample: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """/app/shipway.json: what the image is. Written by the builder, read by the runtime at start."""

    name: str
    entrypoint: str
    settings: Settings = field(default_factory=Settings)
    mcp: tuple[McpServer, ...] = ()
    prompts: str | None = None  # sha256:… over the prompt files; None without prompts
    live: Live | None = None
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Config:
    """/etc/shipway/config.json: an environment's settings, complete; it replaces the manifest's."""

    environment: str
    settings: Settings
    tenants: dict[str, TenantSettings] = field(default_factory=dict)
    provenance: dict[str, str] = field(
        default_factory=dict
    )  # "model.max_tokens" -> "env.prod, agent.toml:41"
    format: int = FORMAT


# -- Release ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """The project's version-control revision when the image was built; None where there is none."""

    revision: str | None
    dirty: bool


@dataclass(frozen=True, slots=True)
class ToolServer:
    """An MCP server of a release: what follows from it is which tools the model is offered.

    `run` is the package with its version as it was installed, a module, an image, a command or a URL.
    """

    shape: Literal["inside", "sidecar", "service"]
    run: str
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    tools: ToolFilter = field(default_factory=ToolFilter)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a release is made of, for whoever asks later what changed: names, versions and digests, no text.

    `prompts` are files below the prompts' directory with their sha256:…, `code` is one over all other files
    of the project. `settings` are agent.toml's before any environment. `packages` are of each image, by where
    they are in it ("/app/.venv"; "" for the base's own): name -> version.
    """

    entrypoint: str
    settings: Settings
    code: str = ""
    prompts: dict[str, str] = field(default_factory=dict)
    tools: dict[str, ToolServer] = field(default_factory=dict)
    packages: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """.shipway/release.json: what was built. Image references end in @sha256:…"""

    shipway: str
    name: str
    source: Source
    images: dict[str, str]
    prompts: str | None
    tools: str | None  # sha256:… over the MCP servers in `contents`; None without any
    id: str
    contents: Contents | None = None
    format: int = FORMAT


# -- JSON ----------------------------------------------------------------------------------------------------


T = TypeVar("T")


def decode(kind: type[T], text: str | bytes, where: str) -> T:
    """Read a contract value from JSON. `where` names the document in messages; raises ContractError."""
    return codec.decode(kind, text, where, FORMAT)
