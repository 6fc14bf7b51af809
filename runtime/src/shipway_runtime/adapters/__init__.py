"""How agents of each framework run: one file a kind, one line in KINDS.

In: whatever the entry point names. Out: `Conversational`, which the runtime's API serves, or `OwnApp`, an
ASGI application that owns the API port. Errors: StartError that says what the entry point is and what was
expected.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import StartError
from . import asgi, functions, google_adk, langgraph, openai_agents, pydantic_ai
from .frameworks import UnsuitableError
from .kinds import Conversational, OwnApp

__all__ = ["KINDS", "Conversational", "Kind", "OwnApp", "adapt"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of agent: how it is recognised, without importing its framework, and what it becomes."""

    name: str
    recognises: Callable[[Any], bool]
    adapt: Callable[[Any], Conversational | OwnApp]


KINDS = (
    Kind("an agent of pydantic-ai", pydantic_ai.recognises, pydantic_ai.adapt),
    Kind("an agent of openai-agents", openai_agents.recognises, openai_agents.adapt),
    Kind("a graph of LangGraph", langgraph.recognises, langgraph.adapt),
    Kind("an agent of Google ADK", google_adk.recognises, google_adk.adapt),
    Kind("an ASGI application", asgi.recognises, asgi.adapt),
    Kind("a function", functions.recognises, functions.adapt),
)
"""In the order they are tried."""

FRAMEWORKS = "an agent of a framework that is known here: pydantic-ai, openai-agents, LangGraph, Google ADK"


def adapt(agent: Any, entrypoint: str) -> Conversational | OwnApp:
    """What `entrypoint` names, ready to run. Raises StartError."""
    if not inspect.isclass(agent):
        for kind in KINDS:
            if kind.recognises(agent):
                try:
                    return kind.adapt(agent)
                except UnsuitableError as error:
                    raise StartError(f"{entrypoint} is {error}") from None
    raise StartError(_explain(agent, entrypoint))


def _explain(agent: Any, entrypoint: str) -> str:
    """What was seen, what was expected, and what to write where that can be known."""
    if inspect.isclass(agent):
        return f'{entrypoint} is the class {_name(agent)}; to make an agent of it, write "{entrypoint}()"'
    may_make_one = callable(agent) and not entrypoint.endswith("()")
    called = f'; if it makes one, write "{entrypoint}()"' if may_make_one else ""
    return (
        f"{entrypoint} is a {_name(type(agent))}; expected {functions.EXPECTED}, a generator of pieces, "
        f"an ASGI application, or {FRAMEWORKS}{called}"
    )


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
