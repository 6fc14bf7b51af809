"""The providers that can be replayed: one line each, in the order in which paths are looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.replay.apis import anthropic, openai_chat, openai_responses

if TYPE_CHECKING:
    from shipway.replay.apis.provider import Provider

PROVIDERS: tuple[Provider, ...] = (
    anthropic,
    openai_responses,
    openai_chat,
)

KNOWN = "Anthropic Messages, OpenAI Responses and OpenAI Chat Completions"
NOT_YET = (
    (":generateContent", "Gemini"),
    (":streamGenerateContent", "Gemini"),
)
"""Path endings of APIs that are recognised, and refused."""


def find(path: str) -> Provider | None:
    """The provider that owns the path."""
    return next((provider for provider in PROVIDERS if provider.owns(path)), None)


def not_yet(path: str) -> str | None:
    """The name of the API at the path, when it is known and cannot be replayed yet."""
    return next((name for ending, name in NOT_YET if path.endswith(ending)), None)
