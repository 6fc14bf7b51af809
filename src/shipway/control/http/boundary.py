"""Where requests come in: who asks, what for, and how much of it is read.

In: an HTTP request, and the endpoint that is to answer. Out: its answer; or one message that says what was
wrong with it, as `{"error": {"code", "message"}}`. Endpoints are functions of an `Asked`, which run in
threads, since they wait for the database; what they raise as `Refused` is the answer. Whatever else fails is
logged, and is a 500 that shows nothing of it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from shipway.control.deployments import NAME, NAME_WORDS, Deployment
from shipway.control.http.answers import RETRY_S, Refused, failure
from shipway.control.http.bodies import body_of, parse
from shipway.control.http.sessions import Doorkeeper
from shipway.control.http.tokens import Holder
from shipway.control.store.database import StoreError

if TYPE_CHECKING:
    from starlette.requests import Request

    from shipway.control.http.tokens import Roles

ANSWER_S = 15.0  # for an endpoint to answer
BODY_LIMIT = 1_000_000  # bytes, where an endpoint says nothing else
_SILENCE_S = 30.0  # between two log lines that say the same
_PAGE_LIMIT = 500  # items of a list

log = logging.getLogger("shipway.control")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose caller may make it. `at` is when it came, in seconds since the epoch."""

    holder: Holder | None
    body: bytes = b""
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    at: float = field(default_factory=time.time)

    @property
    def by(self) -> str:
        """Who asks, for the audit trail."""
        return self.holder.name if self.holder else ""

    @property
    def deployment(self) -> Deployment:
        """Which deployment is meant. Raises Refused."""
        return Deployment(self._name("name", "the agent's"), self._name("environment", "its environment's"))

    def _name(self, key: str, whose: str) -> str:
        value = self.query.get(key, "")
        if not NAME.fullmatch(value):
            seen = f'saw "{value[:80]}"' if value else "it is missing"
            raise Refused(400, "bad_query", f"query: `{key}` is {whose} name ({NAME_WORDS}); {seen}")
        return value

    def document(self) -> dict[str, Any]:
        """The body as a JSON object. Raises Refused."""
        data = parse(self.body)
        if not isinstance(data, dict):
            raise Refused(400, "bad_body", "the body is no JSON object")
        return data

    def number(self, key: str) -> float | None:
        """A number of the query, or None where it is not there. Raises Refused."""
        if (text := self.query.get(key)) is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise Refused(400, "bad_query", f'query: `{key}` is a number; saw "{text[:80]}"')
        return value

    def paging(self, most: int = _PAGE_LIMIT) -> tuple[int, float]:
        """How many items of a list are wanted, and before which one. Raises Refused."""
        limit, before = self.number("limit"), self.number("before")
        if limit is not None and not 1 <= limit <= most:
            raise Refused(400, "bad_query", f"query: `limit` is from 1 to {most}; saw {limit:g}")
        return int(limit or min(most, 100)), before if before is not None else 2.0**53


Endpoint = Callable[[Asked], Response]
Waiting = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Boundary:
    """What requests pass before an endpoint sees them."""

    doorkeeper: Doorkeeper
    threads: ThreadPoolExecutor
    said: dict[str, float] = field(default_factory=dict)

    async def answer(
        self, request: Request, roles: Roles, endpoint: Endpoint | Waiting, limit: int = BODY_LIMIT
    ) -> Response:
        """What `endpoint` says to those who may ask it; without roles, everybody may."""
        try:
            holder = self.doorkeeper.admit(request, roles) if roles else None
            body = await body_of(request, limit)
            asked = Asked(holder, body, request.path_params, request.query_params, request.headers)
            async with asyncio.timeout(ANSWER_S):
                return await self._run(endpoint, asked)
        except Refused as refused:
            return failure(refused.status, refused.code, refused.message, **refused.headers)
        except (StoreError, TimeoutError) as error:
            self._say(str(error) or f"no answer within {ANSWER_S:g} s")
            message = "control's database does not answer; its log says why"
            return failure(503, "unavailable", message, **{"retry-after": str(RETRY_S)})
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return failure(500, "failed", "this is a defect of control; its log says more")

    def _say(self, error: str) -> None:
        """Log it, but not for each of many who poll."""
        if time.monotonic() - self.said.get(error, -math.inf) > _SILENCE_S:
            self.said.clear()
            self.said[error] = time.monotonic()
            log.warning("%s", error)

    async def _run(self, endpoint: Endpoint | Waiting, asked: Asked) -> Response:
        if inspect.iscoroutinefunction(endpoint):
            waited: Response = await endpoint(asked)
            return waited
        loop = asyncio.get_running_loop()
        answer: Any = await loop.run_in_executor(self.threads, endpoint, asked)
        return answer  # type: ignore[no-any-return]
