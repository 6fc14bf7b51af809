"""One question to an agent over its API: POST /v1/responses, answered as events.

In: the API's address and a text. Out: pieces of the answer as they come, then the whole response object.
Errors: StackError in the API's own words, also for one that comes in the middle of an answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from shipway.errors import StackError
from shipway.local.addresses import is_here
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "SHIPWAY_API_KEY"
"""The variable in which a user keeps what lets them in."""

_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of an answer: the conversation it belongs to, and the response object as the API gave it."""

    conversation: str
    response: dict[str, Any]


def ask(
    url: str, text: str, conversation: str | None = None, key: str | None = None
) -> Iterator[Piece | Answer]:
    """Ask the agent at `url`, and go on with a conversation if one is given. `key` lets the caller in."""
    body: dict[str, Any] = {"input": text, "stream": True}
    if conversation:
        body["conversation"] = conversation
    # An agent may think for as long as it likes; whether it is there shows at once.
    timeout = httpx2.Timeout(None, connect=_CONNECT_S)
    options: dict[str, Any] = {
        "json": body,
        "timeout": timeout,
        "trust_env": not is_here(url),
    }  # a stack of this machine is behind no proxy
    options["headers"] = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx2.stream("POST", f"{url.rstrip('/')}/v1/responses", **options) as answer:
            if answer.status_code != 200:
                raise _refused(url, answer.status_code, answer.read())
            yield from _events(answer)
    except httpx2.ConnectError as error:
        raise StackError(f"nothing answers at {url} ({error})", "start the stack: shipway up") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise StackError(
            f"{url}: {str(error) or type(error).__name__}", "look: shipway status, shipway logs"
        ) from None


def _events(answer: httpx2.Response) -> Iterator[Piece | Answer]:
    conversation = answer.headers.get(contract.CONVERSATION_HEADER, "")
    for line in answer.iter_lines():
        event = json.loads(line[5:]) if line.startswith("data:") and line[5:].strip() != "[DONE]" else {}
        kind = event.get("type")
        if kind == "response.output_text.delta":
            yield Piece(event["delta"])
        elif kind == "response.completed":
            yield Answer(conversation, event["response"])
            return
        elif kind in ("response.failed", "response.incomplete", "error"):
            raise StackError(f"the agent failed: {_message(event)}", "its log says more: shipway logs agent")
    raise StackError("the answer ended in the middle", "the agent's log may say why: shipway logs agent")


def _message(event: dict[str, Any]) -> str:
    error = (event.get("response") or event).get("error") or event
    return str(error.get("message") or error)


def _refused(url: str, status: int, body: bytes) -> StackError:
    try:
        message = _message(json.loads(body))
    except (ValueError, AttributeError):
        message = body[:200].decode(errors="replace")
    if status == 404:
        hint = "an agent that is an ASGI app of its own has its own paths: use curl"
        return StackError(f"{url} has no /v1/responses: {message}", hint)
    if status == 401:
        return StackError(
            f"{url} answers {status}: {message}", f"set {KEY} to a key, or a token, of this agent"
        )
    return StackError(f"{url} answers {status}: {message}")
