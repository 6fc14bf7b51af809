"""The providers that can be replayed: one line each, in the order in which paths are looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.replay.apis import anthropic, gemini, openai_chat, openai_responses

if TYPE_CHECKING:
    from shipway.replay.apis.provider import Provider

PROVIDERS: tuple[Provider, ...] = (
    anthropic,
    openai_responses,
    openai_chat,
    gemini,
)

KNOWN = "Anthropic Messages, OpenAI Responses, OpenAI Chat Completions and Gemini generateContent"


def find(path: str) -> Provider | None:
    """The provider that owns the path."""
    return next((provider for provider in PROVIDERS if provider.owns(path)), None)
