"""Control's HTTP: the table of its paths, and the application that serves them.

In: a database and tokens. Out: an ASGI application; its lifespan opens the database and closes it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route

from shipway.control import endpoints
from shipway.control.answers import failure
from shipway.control.boundary import BODY_LIMIT, Boundary
from shipway.control.intake import Intake
from shipway.control.parts import Parts
from shipway.control.sessions import Doorkeeper
from shipway.control.tokens import Roles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from shipway.control.store.database import Database
    from shipway.control.tokens import Tokens

REPORT: Roles = ("report",)
READ: Roles = ("read", "operate")
OPERATE: Roles = ("operate",)
ANY: Roles = ("report", "read", "operate")
NOBODY: Roles = ()  # is asked for

THREADS = 16  # that wait for the database


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
    Line("POST", "/v1/outcomes", REPORT, endpoints.take_outcomes, limit=5_000_000),
    Line("POST", "/v1/replicas", REPORT, endpoints.take_replica),
    Line("GET", "/v1/policy", ANY, endpoints.show_policy),
    Line("PUT", "/v1/policy", OPERATE, endpoints.put_policy),
    Line("GET", "/v1/policy/versions", READ, endpoints.show_versions),
    Line("GET", "/v1/deployments", READ, endpoints.show_deployments),
    Line("GET", "/v1/fleet", READ, endpoints.show_fleet),
)


def create_app(database: Database, tokens: Tokens, keep_s: float) -> Starlette:
    """The application. Outcomes are kept for `keep_s` seconds."""
    threads = ThreadPoolExecutor(THREADS, "control")
    writer = ThreadPoolExecutor(1, "control-writer")
    parts = Parts(database, Intake(database, writer, keep_s))
    doorkeeper = Doorkeeper(tokens)
    boundary = Boundary(doorkeeper, threads)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(parts.intake.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])
            writer.shutdown()
            threads.shutdown()

    routes = [_route(boundary, parts, line) for line in PATHS]
    routes += [
        Route("/session", doorkeeper.enter, methods=["POST"]),
        Route("/session", doorkeeper.leave, methods=["DELETE"]),
        Route("/session", doorkeeper.show, methods=["GET"]),
    ]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: _nothing, 405: _method},
    )


def _route(boundary: Boundary, parts: Parts, line: Line) -> Route:
    endpoint = functools.partial(line.endpoint, parts)

    async def answer(request: Request) -> Response:
        return await boundary.answer(request, line.roles, endpoint, line.limit)

    return Route(line.path, answer, methods=[line.method])


async def _nothing(request: Request, error: Exception) -> Response:
    return failure(404, "not_found", f"there is nothing at {request.url.path[:200]}")


async def _method(request: Request, error: Exception) -> Response:
    return failure(405, "bad_method", f"{request.url.path[:200]} does not answer {request.method[:20]}")
