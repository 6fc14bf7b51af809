"""What is said to whoever arms faults over HTTP: control.py has the path and the protocol.

In: a request for that path. Out: its answer, in JSON; `faulty` is armed or cleared.
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
    from starlette.types import Receive, Scope, Send

    from shipway.replay.faults.faulty import Armed, Faulty

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


async def answer(scope: Scope, receive: Receive, send: Send, faulty: Faulty) -> None:
    """Answer one request."""
    response = await _answer(Request(scope, receive), faulty)
    await response(scope, receive, send)


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
