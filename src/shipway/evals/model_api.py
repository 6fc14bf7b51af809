"""The judge's model: one question, one text, over each provider's own API.

In: a provider or a URL that speaks OpenAI's Chat Completions, a model, a key, a prompt. Out: the text of the
answer. Errors: ModelSilent, which says why there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from shipway.loopback import is_loopback
from shipway.plan.sdk_variables import KEYS, PLACEHOLDER
from shipway_runtime import contract

ATTEMPTS = 4
DEADLINE_S = 120.0
_MOST_TOKENS = 2000  # a verdict with its reason, and room for a model that thinks first
_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 529})


class ModelSilent(Exception):
    """The model gave no answer; says why."""


@dataclass(frozen=True, slots=True)
class Api:
    """How a provider is asked: the path, the headers of a key, the body, and where the text is."""

    path: Callable[[str], str]
    headers: Callable[[str], Mapping[str, str]]
    body: Callable[[str, str], Mapping[str, Any]]
    text: Callable[[Any], str]


ANTHROPIC = Api(
    lambda model: "/v1/messages",
    lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"},
    lambda model, prompt: {
        "model": model,
        "max_tokens": _MOST_TOKENS,
        "messages": [{"role": "user", "content": prompt}],
    },
    lambda answer: "".join(part["text"] for part in answer["content"] if part["type"] == "text"),
)
OPENAI = Api(
    lambda model: "/chat/completions",
    lambda key: {"authorization": f"Bearer {key}"},
    lambda model, prompt: {"model": model, "messages": [{"role": "user", "content": prompt}]},
    lambda answer: str(answer["choices"][0]["message"]["content"] or ""),
)
GEMINI = Api(
    lambda model: f"/v1beta/models/{model}:generateContent",
    lambda key: {"x-goog-api-key": key},
    lambda model, prompt: {"contents": [{"role": "user", "parts": [{"text": prompt}]}]},
    lambda answer: "".join(p.get("text", "") for p in answer["candidates"][0]["content"]["parts"]),
)
APIS: Mapping[str, Api] = {"anthropic": ANTHROPIC, "openai": OPENAI, "gemini": GEMINI}


@dataclass(frozen=True, slots=True)
class Model:
    """Which model, where, and what lets us in."""

    api: Api
    url: str
    name: str
    key: str


def locate(provider: str, name: str, environ: Mapping[str, str]) -> Model:
    """The model as the environment has it: its base URL and its key. Raises LookupError naming the variable
    that is missing."""
    api = APIS.get(provider, OPENAI)
    variable = contract.BASE_URL_VARIABLES.get(provider)
    given = environ.get(variable) if variable else provider
    url = (given or contract.PROVIDER_URLS[provider]).rstrip("/")
    names = KEYS.get(provider, KEYS["openai"])
    key = next((environ[known] for known in names if environ.get(known)), None)
    if key is None and not (given and is_loopback(urlsplit(url).hostname)):
        raise LookupError(f"the judge needs {names[0]}, which is not in the environment")
    return Model(api, url, name, key or PLACEHOLDER)


class ModelApi:
    """A client of one model. An asynchronous context manager; `concurrency` questions at once."""

    def __init__(self, model: Model, concurrency: int) -> None:
        self.model = model
        here = is_loopback(urlsplit(model.url).hostname)
        self._client = httpx2.AsyncClient(timeout=DEADLINE_S, trust_env=not here)
        self._free = asyncio.Semaphore(concurrency)

    async def __aenter__(self) -> ModelApi:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ask(self, prompt: str) -> str:
        """The text of the model's answer. Raises ModelSilent."""
        api, model = self.model.api, self.model
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(min(0.5 * 2**attempt, 8.0))
            try:
                async with self._free:
                    answer = await self._client.post(
                        model.url + api.path(model.name),
                        json=api.body(model.name, prompt),
                        headers=api.headers(model.key),
                    )
            except httpx2.HTTPError as error:
                reason = f"{model.url}: {str(error) or type(error).__name__}"
                continue
            if answer.status_code == 200:
                return _text(api, answer)
            reason = f"{model.name} answers {answer.status_code}: {answer.text[:200]}"
            if answer.status_code not in _AGAIN:
                break
        raise ModelSilent(reason)


def _text(api: Api, answer: httpx2.Response) -> str:
    try:
        return api.text(answer.json())
    except (ValueError, KeyError, IndexError, TypeError):
        raise ModelSilent(f"an answer that cannot be read: {answer.text[:200]}") from None
