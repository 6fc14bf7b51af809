"""Environment variables: those that the runtime reads, those of SDKs, those that MCP servers inherit; and
where SDKs go without them.

A part of the contract, which gives all of them; the standard library alone. In and out: names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class env:
    """Names of the environment variables that the runtime reads."""

    ENVIRONMENT = "SHIPWAY_ENV"  # "development" or the environment's name
    HOST = "SHIPWAY_HOST"  # address of the API and admin ports; the relay is always on loopback
    API_PORT = "SHIPWAY_API_PORT"
    ADMIN_PORT = "SHIPWAY_ADMIN_PORT"
    RELAY_PORT = "SHIPWAY_RELAY_PORT"
    MANIFEST = "SHIPWAY_MANIFEST"  # path
    SOURCE = "SHIPWAY_SOURCE"  # directory, put on sys.path
    PROMPTS = "SHIPWAY_PROMPTS"  # directory
    STORAGE = "SHIPWAY_STORAGE"  # directory
    CONFIG = "SHIPWAY_CONFIG"  # path
    CONFIG_JSON = "SHIPWAY_CONFIG_JSON"  # the document itself, where files cannot be mounted
    POLICY = "SHIPWAY_POLICY"  # path
    POLICY_JSON = "SHIPWAY_POLICY_JSON"
    SECRETS = "SHIPWAY_SECRETS"  # directory
    CONTROL_URL = "SHIPWAY_CONTROL_URL"
    CONTROL_TOKEN = "SHIPWAY_CONTROL_TOKEN"  # noqa: S105 - a name, not a token
    REVISION = "SHIPWAY_REVISION"
    ADMIN_TOKEN = "SHIPWAY_ADMIN_TOKEN"  # noqa: S105 - a name, not a token
    CHECK_INTERVAL = "SHIPWAY_CHECK_INTERVAL"  # seconds between two rounds of readiness checks
    DRAIN_DELAY = "SHIPWAY_DRAIN_DELAY"  # seconds the API port goes on accepting after SIGTERM
    REPLAY = "SHIPWAY_REPLAY"  # the replay's URL: the model is replayed, and providers are out of reach

    # What control reads.
    CONTROL_TOKENS = "SHIPWAY_CONTROL_TOKENS"
    CONTROL_DATABASE = "SHIPWAY_CONTROL_DATABASE"  # URL of PostgreSQL
    CONTROL_DATA = "SHIPWAY_CONTROL_DATA"  # directory of its SQLite database

    # What the runtime sets for the agent and for unmodified SDKs.
    MODEL = "SHIPWAY_MODEL"
    MAX_TOKENS = "SHIPWAY_MAX_TOKENS"
    MODEL_TIMEOUT = "SHIPWAY_MODEL_TIMEOUT"  # seconds

    @staticmethod
    def mcp_url(name: str) -> str:
        """Where the agent finds an MCP server behind the relay: SHIPWAY_MCP_<NAME>_URL."""
        return f"SHIPWAY_MCP_{_upper(name)}_URL"

    @staticmethod
    def mcp_target(name: str) -> str:
        """Where the relay finds a sidecar or a service, when not where the manifest says."""
        return f"SHIPWAY_MCP_{_upper(name)}_TARGET"

    @staticmethod
    def mcp_command(name: str) -> str:
        """The command of an inside server as a JSON list, when not the one the manifest says."""
        return f"SHIPWAY_MCP_{_upper(name)}_COMMAND"


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")


BASE_URL_VARIABLES: Mapping[str, str] = {
    "anthropic": "ANTHROPIC_BASE_URL",
    "openai": "OPENAI_BASE_URL",
    "gemini": "GOOGLE_GEMINI_BASE_URL",
}
"""Where each provider's own SDK looks for the address of the model API."""

PROVIDER_URLS: Mapping[str, str] = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "gemini": "https://generativelanguage.googleapis.com",
}

PROVIDER_HOSTS: tuple[str, ...] = (
    "api.anthropic.com",
    "api.openai.com",
    "*.api.openai.com",  # its regions
    "generativelanguage.googleapis.com",
    "aiplatform.googleapis.com",
    "*-aiplatform.googleapis.com",
    "aiplatform.*.rep.googleapis.com",
    "bedrock-runtime.*.amazonaws.com",
    "bedrock-runtime-fips.*.amazonaws.com",
    "*.openai.azure.com",
    "*.services.ai.azure.com",
    "*.inference.ai.azure.com",
    "models.github.ai",
    "api.mistral.ai",
    "codestral.mistral.ai",
    "api.cohere.com",
    "api.cohere.ai",
    "api.groq.com",
    "api.x.ai",
    "api.deepseek.com",
    "api.together.xyz",
    "api.together.ai",
    "api.fireworks.ai",
    "api.cerebras.ai",
    "api.perplexity.ai",
    "api.moonshot.ai",
    "api.minimax.io",
    "api.z.ai",
    "dashscope.aliyuncs.com",
    "dashscope-intl.aliyuncs.com",
    "integrate.api.nvidia.com",
    "inference.baseten.co",
    "router.huggingface.co",
    "api-inference.huggingface.co",
    "openrouter.ai",
    "api.replicate.com",
    "gateway.ai.cloudflare.com",
    "ai-gateway.vercel.sh",
    "api.portkey.ai",
)
"""Hosts of providers, and of gateways that lead to them; `*` stands for any part of a name."""

CHILD_VARIABLES: frozenset[str] = frozenset(
    {
        *("PATH", "HOME", "TZ", "TMPDIR", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE"),
        *("LC_COLLATE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME", "LC_MEASUREMENT", "LC_PAPER"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("NODE_EXTRA_CA_CERTS", "NODE_USE_ENV_PROXY", "GIT_SSL_CAINFO"),
        *("TRACEPARENT", "TRACESTATE", "BAGGAGE", "OTEL_SDK_DISABLED", "OTEL_PROPAGATORS"),
        *("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"),
        *("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"),
        *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        *("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
        *("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"),
        *("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"),
    }
)
"""What an MCP server inherits beside its own `env` and `secrets`: proxy, CA, locale and trace variables.

Names one by one, and no prefix: OTEL_EXPORTER_OTLP_HEADERS and its kind hold the collector's credentials.
"""
