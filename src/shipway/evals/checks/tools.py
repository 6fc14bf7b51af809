"""`tool_called`, `tool_not_called`: which tools the response tells of, and with which arguments.

A tool is named as the model knows it, or as `server/tool`. Frameworks' tools are always told of; a plain
function tells of its own (docs/reference/agents.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from shipway.evals.checks.contains import texts
from shipway.evals.checks.equals import same
from shipway.evals.mark import Mark

if TYPE_CHECKING:
    from shipway.evals.answer import Answer, Call


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A call of the tool was told of, with at least these arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    expects: ClassVar[str] = 'a tool\'s name, or {"name": …, "arguments": {…}}'

    @classmethod
    def read(cls, value: Any) -> ToolCalled:
        if isinstance(value, str) and value:
            return cls(value)
        if not isinstance(value, dict) or not value.keys() <= {"name", "arguments"}:
            raise ValueError
        name, arguments = value.get("name"), value.get("arguments", {})
        if not isinstance(name, str) or not name or not isinstance(arguments, dict):
            raise ValueError
        return cls(name, arguments)

    def look(self, answer: Answer) -> Mark:
        calls = [call for call in answer.calls if is_named(call, self.name)]
        if any(self._fits(call) for call in calls):
            return Mark("tool_called", True)
        if calls:
            given = "; ".join(json.dumps(dict(call.arguments), ensure_ascii=False) for call in calls)
            return Mark("tool_called", False, f"{self.name} was called with {given}")
        others = ", ".join(dict.fromkeys(call.name for call in answer.calls))
        return Mark("tool_called", False, f"{self.name} was not called; called: {others or 'none'}")

    def _fits(self, call: Call) -> bool:
        return all(
            key in call.arguments and same(call.arguments[key], value)
            for key, value in self.arguments.items()
        )


@dataclass(frozen=True, slots=True)
class ToolNotCalled:
    """No call of any of these tools was told of."""

    names: tuple[str, ...]
    expects: ClassVar[str] = 'a tool\'s name, a list of them, or "*" for every tool'

    @classmethod
    def read(cls, value: Any) -> ToolNotCalled:
        return cls(texts(value))

    def look(self, answer: Answer) -> Mark:
        called = [c.name for c in answer.calls if any(n == "*" or is_named(c, n) for n in self.names)]
        words = f"{', '.join(dict.fromkeys(called))} was called" if called else ""
        return Mark("tool_not_called", not called, words)


def is_named(call: Call, name: str) -> bool:
    return name in (call.name, f"{call.server}/{call.name}")
