"""Faults on demand, over HTTP: what `shipway replay fault` talks to.

    GET     /_shipway/faults    {"faults": [{"fault", "choice", "place", "seen", "hits", "for_s"}, …]}
    POST    /_shipway/faults    {"kind": "cut", "times": 2, "for_s": 30}: keys of a [[fault]], and how long
    DELETE  /_shipway/faults    forget what was demanded

In: requests to the replay. Out: answers to these; all others go to the app that it wraps. A web page cannot
arm a fault: only JSON is read, which browsers ask leave for and do not get, and only hosts that are loopback.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from shipway.replay.faults import rules
from shipway.replay.faults.rules import RuleError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from shipway.replay.faults.faulty import Armed, Faulty

PATH = "/_shipway/faults"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def with_control(app: ASGIApp, faulty: Faulty) -> ASGIApp:
    """The app, and beside it the path that arms `faulty`."""

    async def controlled(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            response = await _answer(Request(scope, receive), faulty)
            await response(scope, receive, send)
        else:
            await app(scope, receive, send)

    return controlled


async def _answer(request: Request, faulty: Faulty) -> JSONResponse:
    if request.url.hostname not in _LOOPBACK:
        return _error(403, f"expected a host that is loopback, saw {request.url.hostname}")
    if request.method == "GET":
        return JSONResponse({"faults": [_told(armed) for armed in faulty.armed()]})
    if request.method == "DELETE":
        return JSONResponse({"cleared": faulty.clear()})
    if request.method == "POST":
        return await _arm(request, faulty)
    return _error(405, f"expected GET, POST or DELETE, saw {request.method}")


async def _arm(request: Request, faulty: Faulty) -> JSONResponse:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _error(415, "expected content-type: application/json")
    try:
        keys = json.loads(await request.body())
        for_s = _checked(keys.pop("for_s", None))
        faulty.arm(rules.make(keys, "on demand"), for_s)
    except RuleError as error:
        return _error(400, str(error), error.fix)
    except (ValueError, TypeError, AttributeError):
        return _error(400, "expected a JSON object with the keys of a [[fault]], and for_s in seconds")
    return JSONResponse({"faults": [_told(armed) for armed in faulty.armed()]}, 201)


def _checked(for_s: Any) -> float | None:
    if for_s is not None and not for_s >= 0:
        raise RuleError(f"for_s: expected seconds, saw {for_s!r}", "leave it out, and the fault stays")
    return None if for_s is None else float(for_s)


def _told(armed: Armed) -> dict[str, Any]:
    left = None if armed.until is None else round(armed.until - time.monotonic(), 1)
    rule = armed.rule
    return {
        "fault": str(rule.fault),
        "choice": rule.choice,
        "place": rule.place,
        "seen": armed.seen,
        "hits": armed.hits,
        "for_s": left,
    }


def _error(status: int, message: str, fix: str = "") -> JSONResponse:
    return JSONResponse({"error": {"message": message, "fix": fix}}, status)
