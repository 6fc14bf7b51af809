"""How agents of each framework run: one file a kind, one line in KINDS.

In: whatever the entry point names. Out: `Conversational`, which the runtime's API serves, or `OwnApp`, an
ASGI application that owns the API port. Errors: StartError that says what the entry point is and what was
expected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import StartError
from . import asgi, frameworks, functions
from .kinds import Conversational, OwnApp

__all__ = ["KINDS", "Conversational", "Kind", "OwnApp", "adapt"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of agent: how it is recognised, without importing its framework, and what it becomes."""

    name: str
    recognises: Callable[[Any], bool]
    adapt: Callable[[Any], Conversational | OwnApp]


KINDS = (
    Kind("an agent of a framework", frameworks.recognises, frameworks.adapt),
    Kind("an ASGI application", asgi.recognises, asgi.adapt),
    Kind("a function", functions.recognises, functions.adapt),
)
"""In the order they are tried."""


def adapt(agent: Any, entrypoint: str) -> Conversational | OwnApp:
    """What `entrypoint` names, ready to run. Raises StartError."""
    for kind in KINDS:
        if kind.recognises(agent):
            return kind.adapt(agent)
    module = type(agent).__module__
    seen = type(agent).__qualname__ if module == "builtins" else f"{module}.{type(agent).__qualname__}"
    called = "" if entrypoint.endswith("()") else f'; if it makes one, write "{entrypoint}()"'
    raise StartError(
        f"{entrypoint} is a {seen}; expected {functions.EXPECTED}, a generator of pieces, "
        f"or an ASGI application{called}"
    )
