"""What an agent is given with each turn, beside the messages.

In: the deployment, its secrets, the turn. Out: `Context`, one per turn: values, and `prompt` and `secret`,
which read at the moment they are called. `current()` gives it to code that has no parameter for it: the tools
and prompts of frameworks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .contract import Model, TenantSettings
from .secrets.declared import Secrets
from .telemetry.current import outgoing
from .telemetry.tally import Tally, read_usage

SUFFIXES = ("", ".md", ".txt")


def allow(tool: str) -> bool:
    """Every tool may run."""
    return True


@dataclass(frozen=True, slots=True)
class Context:
    """One turn, as the agent sees it."""

    conversation: str
    """Identity of the conversation; the same in every turn of it."""
    turn: int
    """Number of this turn in its conversation, from 1."""
    tenant: str | None
    """Whose turn this is, where callers are told apart."""
    model: Model | None
    """The model's settings in this environment; None where agent.toml has no [model]."""
    config: Mapping[str, Any]
    """The agent's own settings, [config]."""
    mcp: Mapping[str, str]
    """MCP servers: name -> URL (streamable HTTP)."""
    storage: Path | None
    """The agent's volume, the only writable place beside /tmp."""
    prompts: Path = field(repr=False)
    secrets: Secrets = field(repr=False)
    tally: Tally = field(default_factory=Tally, repr=False)
    allows_tool: Callable[[str], bool] = field(default=allow, repr=False)
    """Whether the operator lets the tool of this name run. Adapters of frameworks ask by themselves."""

    def used(self, usage: Any, model: str | None = None) -> None:
        """Report what a request to a model used: the `usage` of its response, as the SDK gave it.

        Adapters of frameworks do this by themselves. `model` is for agents that ask more than one. None is a
        usage that the model did not send. Raises TypeError for what is no usage.
        """
        self.tally.use(read_usage(usage, model))

    @property
    def trace(self) -> Mapping[str, str]:
        """Headers that hand on the trace this turn belongs to, `traceparent` and its kind; empty without one.

        For clients that OpenTelemetry does not do it for.
        """
        return outgoing()

    def prompt(self, name: str) -> str:
        """The text of a prompt: the file of that name, or with .md or .txt added.

        Raises LookupError that lists the prompts there are.
        """
        root = self.prompts.resolve()
        for suffix in SUFFIXES:
            path = (root / f"{name}{suffix}").resolve()
            if path.is_file() and path.is_relative_to(root):
                return path.read_text("utf-8")
        there = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
        raise LookupError(f'no prompt "{name}" in {self.prompts}; there is {", ".join(there) or "none"}')

    def secret(self, name: str) -> str:
        """The current value of a declared secret; ask again rather than keep it, it may rotate.

        Raises LookupError for a name that [secrets] does not declare, or a value that is missing.
        """
        if name not in self.secrets:
            declared = ", ".join(self.secrets) or "none"
            raise LookupError(f"secret {name} is not declared in [secrets]; declared: {declared}")
        value = self.secrets.value(name)
        if value is None:
            raise LookupError(f"secret {self.secrets[name].problem()}")
        return value


def contexts_of(context: Context, tenants: Mapping[str, TenantSettings]) -> dict[str, Context]:
    """The template of each tenant that has settings of its own; what they leave out is the environment's."""
    return {
        name: replace(
            context, model=tenant.model or context.model, config={**context.config, **tenant.config}
        )
        for name, tenant in tenants.items()
    }


_CURRENT: ContextVar[Context] = ContextVar("shipway_turn")


def current() -> Context:
    """The context of the turn that is running: in its task, the tasks it started, and its threads.

    Raises LookupError outside a turn, as at import.
    """
    try:
        return _CURRENT.get()
    except LookupError:
        raise LookupError("no turn is running here; call it from a tool or a prompt, not at import") from None


def running() -> Context | None:
    """The same, or None."""
    return _CURRENT.get(None)


@contextlib.contextmanager
def entered(context: Context) -> Iterator[None]:
    """Makes `context` the current one for its block, which must begin and end in one task."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)
