"""A recorded exchange in a few words: what was asked, what was answered, how many tokens it took.

In: an exchange of any API. Out: a `Summary`. It is for people: what has an unknown shape is left empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.replay.apis import providers
from shipway.replay.apis.provider import ConversionError, ErrorEventError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.replay.apis.provider import Provider
    from shipway.replay.exchange import Exchange, Request, Response

_SENT = ("input_tokens", "prompt_tokens", "promptTokenCount")
_WRITTEN = ("output_tokens", "completion_tokens", "candidatesTokenCount")
_NOT_ALL = (ConversionError, LookupError, TypeError, AttributeError, ValueError)
"""What a stream that is cut or unknown, or a body of another shape, may raise."""


@dataclass(frozen=True, slots=True)
class Summary:
    """`question` is the user's, or `tool: result`; `answer` the text, or `calls tool, tool`, or the error.

    `tokens` are those sent and written; None where the answer does not say.
    """

    question: str = ""
    answer: str = ""
    tokens: tuple[int, int] | None = None


def summarise(exchange: Exchange) -> Summary:
    provider = providers.find(exchange.request.path)
    question = _question(exchange.request, provider)
    try:
        body = _body(exchange.response, provider)
    except ErrorEventError as error:
        return Summary(question, f"error {error.status} in the stream")
    except _NOT_ALL:
        return Summary(question, "a stream without its end")
    if exchange.response.status != 200:
        return Summary(question, f"error {exchange.response.status}")
    try:
        return Summary(question, _said(body), _tokens(body))
    except _NOT_ALL:
        return Summary(question)


def _question(request: Request, provider: Provider | None) -> str:
    try:
        last = provider.last_message(request.body) if provider else None
    except _NOT_ALL:
        last = None
    if last is None:
        return ""
    results = "; ".join(f"{tool}: {result}" for tool, result in last.results.items())
    return _line(results or last.text)


def _body(response: Response, provider: Provider | None) -> Any:
    if response.events is None or provider is None:
        return response.body
    return provider.to_body(response.events)


def _said(body: dict[str, Any]) -> str:
    said = list(_parts(body))
    text = _line(" ".join(text for text, _ in said if text))
    calls = ", ".join(tool for _, tool in said if tool)
    return "; ".join(filter(None, [text, f"calls {calls}" if calls else ""]))


def _parts(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(text, name of a called tool) of each part of an answer; one of the two is empty."""
    for block in body.get("content") or ():  # Anthropic
        yield block.get("text") or "", block["name"] if block["type"] == "tool_use" else ""
    for item in body.get("output") or ():  # Responses
        if item["type"] == "function_call":
            yield "", item["name"]
        for part in item.get("content") or ():
            yield part.get("text") or "", ""
    for choice in body.get("choices") or ():  # Chat Completions
        yield choice["message"].get("content") or "", ""
        for call in choice["message"].get("tool_calls") or ():
            yield "", call["function"]["name"]
    for candidate in body.get("candidates") or ():  # Gemini
        for part in candidate["content"].get("parts") or ():
            yield part.get("text") or "", part.get("functionCall", {}).get("name", "")


def _tokens(body: dict[str, Any]) -> tuple[int, int] | None:
    usage = body.get("usage") or body.get("usageMetadata") or {}
    sent, written = (
        next((usage[key] for key in keys if isinstance(usage.get(key), int)), None)
        for keys in (_SENT, _WRITTEN)
    )
    return None if sent is None or written is None else (sent, written)


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
