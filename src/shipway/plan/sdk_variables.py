"""The variables by which SDKs find the model's API and its key, each provider's and those of frameworks.

In: the port of the replay, the names of a project's secrets. Out: variables for the agent's process. Only
APIs that the replay speaks are here: an SDK of another provider keeps its own address, and says so when it
cannot be reached. docs/reference/model-urls.md lists which SDK was seen to read which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

BASE_URLS: Mapping[str, tuple[str, str]] = {
    "ANTHROPIC_BASE_URL": ("anthropic", ""),
    "ANTHROPIC_API_BASE": ("anthropic", ""),  # litellm, which looks here first
    "ANTHROPIC_API_URL": ("anthropic", ""),  # langchain-anthropic, which looks here first
    "OPENAI_BASE_URL": ("openai", "/v1"),
    "OPENAI_API_BASE": ("openai", "/v1"),  # llama-index; openai before 1.0; langchain-openai and crewai, too
    "GOOGLE_GEMINI_BASE_URL": ("gemini", ""),
    "GOOGLE_VERTEX_BASE_URL": ("gemini", ""),  # google-genai, where it is told to use Vertex AI
    "GEMINI_API_BASE": ("gemini", "/v1beta"),  # litellm, which adds /models/…
}
"""Variable -> whose API it leads to, and what that API's address has after the host.

The first of each provider is `contract.BASE_URL_VARIABLES`': what its own SDK reads.
"""

KEYS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    "openai": ("OPENAI_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
"""Provider -> where its SDKs look for a key, most usual first. Without one they do not even ask."""

TRACING_OFF: Mapping[str, str] = {"OPENAI_AGENTS_DISABLE_TRACING": "1"}
"""SDKs that would tell the provider of every run, with what was said."""

PLACEHOLDER = "replayed"


def base_urls(port: int) -> dict[str, str]:
    """Every SDK, pointed at the replay on this port of loopback."""
    root = f"http://127.0.0.1:{port}"
    return {name: root + path for name, (_, path) in BASE_URLS.items()}


def replayed(port: int) -> dict[str, str]:
    """The same, and the word for the runtime that no real provider is to be reached, and none but in
    development to be replayed. SDKs do not send their traces to the provider meanwhile."""
    return {**base_urls(port), env.REPLAY: f"http://127.0.0.1:{port}", **TRACING_OFF}


def placeholders(provider: str, secrets: Collection[str]) -> dict[str, str]:
    """Keys that nobody needs to have: the provider's own, and every other that the project declares."""
    wanted = KEYS.get(provider, ())[:1]
    declared = (key for keys in KEYS.values() for key in keys if key in secrets)
    return dict.fromkeys([*wanted, *declared], PLACEHOLDER)
