"""What a live scorer gets: one turn, with the conversation that led up to it.

In: a turn as it goes. Out: `Sample`, when it is over: values, bounded in size, that go to another process as
JSON. A function of the user's is written against it, so it only ever gains attributes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..contract import TEXT_LIMIT, ToolUse
from ..dialogue import Message, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import Context
    from ..dialogue import Dialogue


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn that ended well."""

    conversation: str
    turn: int
    """Its number in the conversation, from 1."""
    tenant: str | None
    messages: list[Message]
    """The conversation up to the question, the oldest first: `{"role", "content"}`, as agents get them."""
    answer: str
    tool_calls: tuple[ToolUse, ...] = ()
    """In the order of the calls: `name`, `arguments` (JSON as text), `output`, `error`, `server`."""
    instructions: str | None = None
    """What the caller said for this turn alone."""
    left_out: int = 0
    """How many messages are missing at the beginning: a sample holds some 100,000 characters."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The agent's own settings, for this tenant."""

    def encode(self) -> bytes:
        """As one line of JSON. (`dataclasses.asdict` would copy all of it first.)"""
        document = {name: getattr(self, name) for name in Sample.__slots__}
        document["tool_calls"] = [dataclasses.asdict(call) for call in self.tool_calls]
        return json.dumps(document).encode()


def decode(document: Mapping[str, Any]) -> Sample:
    """What `encode` has made."""
    calls = tuple(ToolUse(**call) for call in document["tool_calls"])
    return Sample(**{**document, "tool_calls": calls})


class Notes:
    """Takes down what a turn says and does, on the main loop; `sample` is made of it elsewhere."""

    __slots__ = ("_calls", "_context", "_dialogue", "_results", "answer")

    def __init__(self, dialogue: Dialogue, context: Context) -> None:
        self._dialogue, self._context = dialogue, context
        self._calls: list[ToolCall] = []
        self._results: dict[str, ToolResult] = {}
        self.answer = ""

    def note(self, piece: ToolCall | ToolResult) -> None:
        """One more piece of the turn, beside its text."""
        if isinstance(piece, ToolCall):
            self._calls.append(piece)
        else:
            self._results[piece.id] = piece

    def sample(self, redact: Callable[[str], str]) -> Sample:
        """The turn as it was, without secrets, as far as there is room: the answer first, then what was said
        last."""
        room = _Room(TEXT_LIMIT, redact)
        answer = room.cut(self.answer)
        said = [*(message for turn in self._dialogue.past for message in turn.messages), *self._dialogue.new]
        messages: list[Message] = []
        while said and (room.left > 0 or not messages):
            last = said.pop()
            messages.append({"role": last["role"], "content": room.cut(last["content"])})
        context = self._context
        return Sample(
            conversation=context.conversation,
            turn=context.turn,
            tenant=context.tenant,
            messages=messages[::-1],
            answer=answer,
            tool_calls=tuple(self._use(call, room) for call in self._calls),
            instructions=self._dialogue.instructions and room.cut(self._dialogue.instructions),
            left_out=len(said),
            config=context.config,
        )

    def _use(self, call: ToolCall, room: _Room) -> ToolUse:
        result = self._results.get(call.id)
        return ToolUse(
            name=call.name,
            arguments=room.cut(call.arguments),
            output=room.cut(result.output) if result else None,
            error=result is not None and result.error,
            server=call.server,
        )


class _Room:
    """So many characters are left."""

    def __init__(self, left: int, redact: Callable[[str], str]) -> None:
        self.left, self._redact = left, redact

    def cut(self, text: str) -> str:
        """The text without secrets, or as much of its beginning as there is room for."""
        text = self._redact(text)
        kept = text[: self.left]
        self.left -= len(kept)
        return kept if len(kept) == len(text) else f"{kept}… ({len(text) - len(kept)} more characters)"
