"""Asking an agent: POST /v1/responses, again where it was not asked yet, and on within a conversation.

In: where the agent is, a case's messages. Out: an Answer. What the agent did wrong is in its replies; what
kept it from being asked (a limit, a restart, the network) is missing data. Errors: StackError for what is
wrong with every case alike: nobody there, no key, no such API.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from shipway.errors import StackError
from shipway.evals.answer import Answer, Reply, calls_of, text_of
from shipway.loopback import is_loopback
from shipway.spec.model import Price
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Sequence


AGAIN = frozenset({429, 502, 503})
"""Says that the agent was not asked; unless x-should-retry says that it had begun."""
ATTEMPTS = 6
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_NOBODY = "start it (shipway up), or give the --url of an agent that runs"
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """An agent's API. `key` lets us in; `deadline_s` is for a turn, `prices` make costs of tokens."""

    url: str
    key: str | None = None
    deadline_s: float = 630.0
    prices: Mapping[str, Price] = field(default_factory=dict)


class Unasked(Exception):
    """The agent was not asked, or nobody knows what became of it; says why."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an attempt came to nothing, and after how many seconds to come back, where the agent says it."""

    reason: str
    after_s: float | None = None


class Waits:
    """The waits of one turn. An agent that says when to come back is waited for `patience_s` altogether; one
    that does not, ATTEMPTS times."""

    def __init__(self, patience_s: float) -> None:
        self._left_s, self._attempts = patience_s, ATTEMPTS

    async def wait(self, refused: Refused) -> None:
        """Wait before the next attempt. Raises Unasked when there is to be none."""
        pause = refused.after_s
        if pause is None:
            self._attempts -= 1
            pause = min(_FIRST_WAIT_S * 2 ** (ATTEMPTS - 1 - self._attempts), _LONGEST_WAIT_S)
        pause += random.uniform(0.1, 0.5)  # noqa: S311 - so that those who wait do not come back together
        self._left_s -= pause
        if self._attempts <= 0 or self._left_s < 0:
            raise Unasked(refused.reason)
        await asyncio.sleep(pause)


class Asking:
    """A client of one agent. An asynchronous context manager; conversations may run side by side."""

    def __init__(self, place: Place) -> None:
        self._place = place
        here = is_loopback(urlsplit(place.url).hostname)
        # Nothing but a case's own deadline ends a turn; whether anybody is there shows at once.
        timeout = httpx2.Timeout(None, connect=10.0)
        limits = httpx2.Limits(max_connections=None)
        self._client = httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=not here)
        self._reached = False

    async def __aenter__(self) -> Asking:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def converse(self, inputs: Sequence[str]) -> Answer:
        """Ask one message after the other, in a conversation of its own. Ends at a turn that fails."""
        replies: list[Reply] = []
        for text in inputs:
            try:
                replies.append(await self._turn(text, replies[-1].identity if replies else None))
            except Unasked as error:
                return Answer(tuple(replies), str(error))
            if replies[-1].error:
                break
        return Answer(tuple(replies))

    async def _turn(self, text: str, previous: str | None) -> Reply:
        body = {"input": text} | ({"previous_response_id": previous} if previous else {})
        waits, seconds = Waits(self._place.deadline_s), self._place.deadline_s
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(seconds):
                    response = await self._post(body)
            except TimeoutError:
                return Reply("", latency_s=time.monotonic() - began, error=f"no answer within {seconds:g} s")
            except httpx2.HTTPError as error:
                refused = Refused(self._lost(error))
            else:
                if (found := _refused(response)) is None:
                    return self._reply(response, time.monotonic() - began)
                refused = found
            await waits.wait(refused)

    async def _post(self, body: Mapping[str, Any]) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self._place.key}"} if self._place.key else {}
        response = await self._client.post(
            f"{self._place.url.rstrip('/')}/v1/responses", json=body, headers=headers
        )
        self._reached = True
        return response

    def _lost(self, error: httpx2.HTTPError) -> str:
        """A connection that failed, in words. The first one of all says that nobody is there."""
        words = f"{self._place.url}: {str(error) or type(error).__name__}"
        if not self._reached and isinstance(error, httpx2.ConnectError | httpx2.UnsupportedProtocol):
            raise StackError(f"nothing answers at {words}", _NOBODY) from None
        return words

    def _reply(self, response: httpx2.Response, latency_s: float) -> Reply:
        revision = response.headers.get(contract.REVISION_HEADER)
        document = _document(response)
        if document is None:
            _refuse(self._place.url, response)
            said = f"{response.status_code}: {_message(response)}"
            return Reply("", latency_s=latency_s, error=said, revision=revision)
        usage = document.get("usage") or {}
        return Reply(
            text=text_of(document),
            calls=calls_of(document),
            latency_s=latency_s,
            cost=self._cost(str(document.get("model")), usage),
            tokens=usage.get("total_tokens") or 0,
            revision=revision,
            identity=document.get("id"),
        )

    def _cost(self, model: str, usage: Mapping[str, int]) -> float | None:
        """US dollars; None where the agent reports no usage, or nobody says what its model costs."""
        prices = self._place.prices
        named = [name for name in prices if model == name or model.startswith(f"{name}-")]
        if not named or not usage.get("total_tokens"):
            return None
        price = prices[max(named, key=len)]
        return (usage["input_tokens"] * price.input + usage["output_tokens"] * price.output) / _MILLION


def _document(response: httpx2.Response) -> dict[str, Any] | None:
    """The response object; None for anything else, and for one that tells of an error."""
    try:
        found = response.json()
    except ValueError:
        return None
    well = response.status_code == 200 and isinstance(found, dict) and not found.get("error")
    return found if well else None


def _refused(response: httpx2.Response) -> Refused | None:
    """How the agent says that it was not asked; None where this is an answer. Raises Unasked where it had
    begun and cannot be asked again."""
    if response.status_code not in AGAIN:
        return None
    reason = f"{response.status_code}: {_message(response)}"
    if response.headers.get("x-should-retry") == "false":
        raise Unasked(reason)
    try:
        return Refused(reason, max(0.0, float(response.headers["retry-after"])))
    except (KeyError, ValueError):
        return Refused(reason)


def _refuse(url: str, response: httpx2.Response) -> None:
    """Raise for what every other case would be answered with, too."""
    status, code = response.status_code, _error(response).get("code")
    if status in (401, 403):
        hint = "set SHIPWAY_API_KEY to a key, or a token, of this agent"
        raise StackError(f"{url} answers {status}: {_message(response)}", hint)
    if status in (404, 405) and code not in ("previous_response_not_found", "conversation_not_found"):
        hint = "an agent that is an ASGI app of its own has its own paths: judge it by `command` in [evals]"
        raise StackError(f"{url} has no /v1/responses: {_message(response)}", hint)


def _error(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, TypeError, KeyError):
        return {}
    return error if isinstance(error, dict) else {}


def _message(response: httpx2.Response) -> str:
    return str(_error(response).get("message") or json.dumps(response.text[:200], ensure_ascii=False))
