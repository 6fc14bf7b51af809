"""Faults on demand, over HTTP: what `shipway replay fault` talks to.

    GET     /_shipway/faults    {"faults": [{"fault", "choice", "place", "seen", "hits", "for_s"}, …]}
    POST    /_shipway/faults    {"kind": "cut", "times": 2, "for_s": 30}: keys of a [[fault]], and how long
    DELETE  /_shipway/faults    forget what was demanded

In: requests to the replay. Out: answers to these; all others go to the app that it wraps. A web page cannot
arm a fault: only JSON is read, which browsers ask leave for and do not get, and only hosts that are loopback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from shipway.replay.faults.faulty import Faulty

PATH = "/_shipway/faults"


def with_control(app: ASGIApp, faulty: Faulty) -> ASGIApp:
    """The app, and beside it the path that arms `faulty`."""

    async def controlled(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            from shipway.replay.faults import endpoint  # 30 ms that few replays need

            await endpoint.answer(scope, receive, send, faulty)
        else:
            await app(scope, receive, send)

    return controlled
