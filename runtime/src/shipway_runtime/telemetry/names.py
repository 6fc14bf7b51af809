"""Names of OpenTelemetry's conventions for generative AI, in one table: they are in development and move.

In: nothing. Out: what our spans and metrics are called. Whoever follows a newer version changes this file.

Version: 0.1.0, the first release of https://github.com/open-telemetry/semantic-conventions-genai;
docs/gen-ai/gen-ai-agent-spans.md, gen-ai-metrics.md and gen-ai-token-metrics.md there.
"""

from __future__ import annotations

# -- Operations: the value of OPERATION, and how a span's name begins ----------------------------------------

INVOKE_AGENT = "invoke_agent"
EXECUTE_TOOL = "execute_tool"
CHAT = "chat"

# -- Attributes ----------------------------------------------------------------------------------------------

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
AGENT = "gen_ai.agent.name"
AGENT_VERSION = "gen_ai.agent.version"
CONVERSATION = "gen_ai.conversation.id"
MODEL = "gen_ai.request.model"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOOL = "gen_ai.tool.name"
TOOL_CALL = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
MODALITY = "gen_ai.token.modality"
ERROR_TYPE = "error.type"

REVISION = "shipway.revision"  # the rest is ours
TURN = "shipway.turn"
STATUS = "shipway.status"
COST = "shipway.cost_usd"

SERVICE_NAME = "service.name"  # of the resource
SERVICE_VERSION = "service.version"
ENVIRONMENT = "deployment.environment.name"

# -- Metrics: name, unit, what it is -------------------------------------------------------------------------

AGENT_DURATION = ("gen_ai.invoke_agent.duration", "s", "From a turn's start to its end")
TOOL_DURATION = ("gen_ai.execute_tool.duration", "s", "From a tool's call to its result")
USED_INPUT = ("gen_ai.client.inference.usage.input_tokens", "{token}", "Input tokens used, cached ones too")
USED_OUTPUT = (
    "gen_ai.client.inference.usage.output_tokens",
    "{token}",
    "Output tokens used, those of reasoning too",
)
USED_CACHED = (
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "{token}",
    "Input tokens from the provider's cache",
)
USED_REASONING = (
    "gen_ai.client.inference.usage.reasoning.output_tokens",
    "{token}",
    "Output tokens used for reasoning",
)

# -- Values --------------------------------------------------------------------------------------------------

PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "gemini": "gcp.gemini"}
"""agent.toml's word -> the convention's; a provider given as a URL is named by its host."""
FUNCTION = "function"  # a type of tool: run by the client
UNKNOWN_MODALITY = "unknown"
