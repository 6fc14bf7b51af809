"""Control's HTTP: the table of its paths, and the application that serves them.

In: a database and tokens. Out: an ASGI application, with a writer and an upkeep that live as long as it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from shipway.control import evals, turns
from shipway.control.gates.gates import Gates
from shipway.control.gates.watermarks import begin
from shipway.control.http import endpoints
from shipway.control.http.answers import failure
from shipway.control.http.boundary import BODY_LIMIT, Boundary
from shipway.control.http.sessions import Doorkeeper
from shipway.control.http.tokens import Roles
from shipway.control.metrics import Metrics
from shipway.control.outcomes.intake import Intake
from shipway.control.page.routes import routes as page_routes
from shipway.control.parts import Parts
from shipway.control.readiness import Readiness
from shipway.control.upkeep import Upkeep

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shipway.control.http.tokens import Tokens
    from shipway.control.store.database import Database

REPORT: Roles = ("report",)
READ: Roles = ("read", "operate")
OPERATE: Roles = ("operate",)
ANY: Roles = ("report", "read", "operate")
NOBODY: Roles = ()  # is asked for

GUARDS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

MOST_THREADS = 16  # that wait for the database
THREADS = "control"  # how their names begin


@dataclass(frozen=True, slots=True)
class Line:
    """A path: who may ask, what answers, and how many bytes of body it reads."""

    method: str
    path: str
    roles: Roles
    endpoint: Callable[[Parts, Any], Any]
    limit: int = BODY_LIMIT


PATHS = (
    Line("GET", "/healthz", NOBODY, endpoints.alive),
    Line("GET", "/readyz", NOBODY, endpoints.ready),
    Line("GET", "/metrics", NOBODY, endpoints.show_metrics),
    Line("POST", "/v1/outcomes", REPORT, endpoints.take_outcomes, limit=5_000_000),
    Line("POST", "/v1/replicas", REPORT, endpoints.take_replica),
    Line("POST", "/v1/evals", REPORT, endpoints.take_eval, limit=evals.BODY_LIMIT),
    Line("POST", "/v1/releases", REPORT, endpoints.take_release),
    Line("POST", "/v1/turns", REPORT, endpoints.take_turns, limit=turns.BODY_LIMIT),
    Line("GET", "/v1/policy", ANY, endpoints.show_policy),
    Line("PUT", "/v1/policy", OPERATE, endpoints.put_policy),
    Line("GET", "/v1/policy/versions", READ, endpoints.show_versions),
    Line("GET", "/v1/deployments", READ, endpoints.show_deployments),
    Line("GET", "/v1/fleet", READ, endpoints.show_fleet),
    Line("GET", "/v1/errors", READ, endpoints.show_errors),
    Line("GET", "/v1/releases", READ, endpoints.show_releases),
    Line("GET", "/v1/evals", ANY, endpoints.show_evals),
    Line("GET", "/v1/evals/{id}", ANY, endpoints.show_eval),
    Line("GET", "/v1/gates", READ, endpoints.show_gates),
    Line("GET", "/v1/gates/{canary}", READ, endpoints.show_gate),
    Line("PUT", "/v1/gates/{canary}", OPERATE, endpoints.put_gate),
    Line("DELETE", "/v1/gates/{canary}", OPERATE, endpoints.end_gate),
    Line("GET", "/v1/verdict", READ, endpoints.show_verdict),
    Line("PUT", "/v1/rollout", OPERATE, endpoints.take_rollout),
    Line("GET", "/v1/rollout", READ, endpoints.show_rollout),
    Line("POST", "/v1/rollout/orders", OPERATE, endpoints.order),
    Line("GET", "/v1/rollout/orders", OPERATE, endpoints.show_orders),
    Line("GET", "/v1/conversations", READ, endpoints.show_conversations),
    Line("DELETE", "/v1/conversations/{conversation}", OPERATE, endpoints.forget_conversation),
)


def create_app(database: Database, tokens: Tokens, keep_s: float) -> Starlette:
    """The application, over an open database. Outcomes are kept for `keep_s` seconds."""
    threads = ThreadPoolExecutor(MOST_THREADS, THREADS)
    writer, prober = (ThreadPoolExecutor(1, f"{THREADS}-{name}") for name in ("writer", "prober"))
    watermarks = begin(database, time.time())
    intake, gates = Intake(database, writer, watermarks, keep_s), Gates(database)
    readiness = Readiness(database)
    parts = Parts(database, intake, gates, Metrics(intake, gates), tokens, readiness)
    upkeep = Upkeep(database, gates, watermarks, keep_s)
    doorkeeper = Doorkeeper(tokens)
    boundary = Boundary(doorkeeper, threads)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        running = [
            asyncio.create_task(intake.run()),
            asyncio.create_task(upkeep.run(threads)),
            asyncio.create_task(readiness.run(prober)),
        ]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            for executor in (writer, prober, threads):
                executor.shutdown(wait=False)

    routes = [_route(boundary, parts, line) for line in PATHS]
    routes += [
        Route("/session", doorkeeper.enter, methods=["POST"]),
        Route("/session", doorkeeper.leave, methods=["DELETE"]),
        Route("/session", doorkeeper.show, methods=["GET"]),
        *page_routes(),
    ]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: _nothing, 405: _method},
        middleware=[Middleware(Guarded)],
    )


class Guarded:
    """Every answer tells a browser to take it for what it is, and to do nothing with it. The page says
    more of itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in GUARDS if pair[0] not in there)]
            await send(message)

        await self._app(scope, receive, guarded)


def _route(boundary: Boundary, parts: Parts, line: Line) -> Route:
    endpoint = functools.partial(line.endpoint, parts)

    async def answer(request: Request) -> Response:
        answered = await boundary.answer(request, line.roles, endpoint, line.limit)
        parts.metrics.requests[line.method, line.path, answered.status_code] += 1
        return answered

    path = line.path.replace("}", ":path}")  # a revision or a conversation may have a slash in its name
    return Route(path, answer, methods=[line.method])


async def _nothing(request: Request, error: Exception) -> Response:
    return failure(404, "not_found", f"there is nothing at {request.url.path[:200]}")


async def _method(request: Request, error: Exception) -> Response:
    return failure(405, "bad_method", f"{request.url.path[:200]} does not answer {request.method[:20]}")
