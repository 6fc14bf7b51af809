"""What is said in a turn: messages that go to an agent, and pieces that come back from it.

In: nothing; these are values. Out: `Dialogue`, what an agent is asked; `Piece`, what it answers with, bit by
bit: text, and beside it what it does and what it costs. Adapters translate between these and a framework.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from .context import Context


class Message(TypedDict):
    """One message, as agents see it."""

    role: Literal["system", "user", "assistant"]
    content: str


# -- What goes in --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Memory:
    """What a framework wants back in the next turn: its own record of this one, tool calls included.

    As a piece an agent gives it at most once, at the end. `data` is JSON; `kind` names who can read it.
    """

    kind: str
    data: Any


@dataclass(frozen=True, slots=True)
class Past:
    """A turn that is over: what was said, and the framework's own record where there is one."""

    messages: list[Message]
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What an agent is asked: `new` messages after the turns they continue, the oldest first."""

    new: list[Message]
    past: tuple[Past, ...] = ()
    instructions: str | None = None
    """For this turn alone, and not kept."""

    @property
    def messages(self) -> list[Message]:
        """The whole conversation as plain messages, instructions first."""
        system: list[Message] = (
            [{"role": "system", "content": self.instructions}] if self.instructions else []
        )
        return [*system, *(message for turn in self.past for message in turn.messages), *self.new]


# -- What comes back -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent calls a tool. `arguments` is JSON as text; `server` is the MCP server's name, if any."""

    id: str
    name: str
    arguments: str
    server: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of the call `id`. With `error` the output says what went wrong."""

    id: str
    output: str
    error: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of requests to a model, as reported. `input` includes `cached`, `output` `reasoning`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    model: str | None = None
    """As the provider calls it; None is the model of the turn."""


Piece = str | ToolCall | ToolResult | Usage | Memory

Agent = Callable[[Dialogue, "Context"], AsyncGenerator[Piece, None]]
"""Every agent, once its adapter is done with it."""
