"""Where model APIs are.

In: the environment, the model of this deployment. Out: the addresses whose answers are a model's; and of a
host, whether it is a provider's own: `contract.PROVIDER_HOSTS`.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .. import config, contract
from ..contract import env

if TYPE_CHECKING:
    from collections.abc import Mapping

REDIRECTIONS = (
    *contract.BASE_URL_VARIABLES.values(),
    *("OPENAI_API_BASE", "ANTHROPIC_API_BASE", "ANTHROPIC_API_URL", "GEMINI_API_BASE"),
    *("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE", "GOOGLE_VERTEX_BASE_URL", "ANTHROPIC_VERTEX_BASE_URL"),
    *("MISTRAL_BASE_URL", "MISTRAL_API_BASE", "GROQ_BASE_URL", "GROQ_API_BASE", "OPENROUTER_API_BASE"),
    *("OLLAMA_API_BASE", "LITELLM_PROXY_API_BASE", "DEEPSEEK_API_BASE", "XAI_API_BASE", "CO_API_URL"),
)
"""Variables in which SDKs and LiteLLM look for another address."""

Address = tuple[str, int]  # host and port


@functools.lru_cache(maxsize=1024)
def is_provider(host: str) -> bool:
    """Whether a host is a provider's own."""
    return _providers().match(host.rstrip(".").lower()) is not None


@functools.cache
def _providers() -> re.Pattern[str]:
    """Made by the first request: a start has better uses for two milliseconds."""
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in contract.PROVIDER_HOSTS))


def redirected(model: contract.Model | None, environ: Mapping[str, str]) -> frozenset[Address]:
    """The addresses that this deployment's SDKs are led to, beside those of PROVIDER_HOSTS."""
    urls = [environ.get(name, "") for name in (*REDIRECTIONS, env.REPLAY)]
    urls += [config.model_url(model, environ)] if model else []
    return frozenset(found for url in urls if (found := address(url)))


def address(url: str) -> Address | None:
    """Host and port of an HTTP URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None
