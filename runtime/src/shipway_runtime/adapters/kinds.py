"""What every agent becomes: something that converses, or an application of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..dialogue import Agent

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Conversational:
    """Messages in, pieces of text out; the runtime's API is in front of it."""

    agent: Agent


@dataclass(frozen=True, slots=True)
class OwnApp:
    """An ASGI application that owns the API port, its lifespan included."""

    app: AsgiApp
