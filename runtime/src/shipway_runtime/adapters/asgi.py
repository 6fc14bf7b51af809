"""ASGI applications: Starlette, FastAPI, Litestar, Quart, or a bare `async def app(scope, receive, send)`.

Recognised by the names of the three parameters, which the ASGI specification fixes.
"""

from __future__ import annotations

import inspect
from typing import Any

from .kinds import OwnApp

PARAMETERS = ("scope", "receive", "send")


def recognises(agent: Any) -> bool:
    if not callable(agent) or inspect.isclass(agent):
        return False
    try:
        return tuple(inspect.signature(agent).parameters)[:3] == PARAMETERS
    except (TypeError, ValueError):  # builtins without a signature
        return False


def adapt(agent: Any) -> OwnApp:
    return OwnApp(agent)
