"""What the adapters of frameworks have in common.

A framework is never imported by us: an agent that comes from one has brought it into `sys.modules`. In:
objects, dialogues, records. Out: where an object comes from; the past as the framework remembers it; pieces
of text with a paragraph between what was said before a tool was called and after.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from ..telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..context import Context
    from ..dialogue import Dialogue, Message

Record = TypeVar("Record")


class UnsuitableError(Exception):
    """An agent of a known framework that cannot be run as it is; the message follows on "MODULE:NAME is"."""


def comes_from(agent: Any, package: str) -> bool:
    """Whether the class of `agent`, or one it inherits from, is defined below `package`."""
    kind = agent if inspect.isclass(agent) else type(agent)
    return any(f"{base.__module__}.".startswith(f"{package}.") for base in kind.__mro__)


def find(module: str, name: str) -> Any:
    """A name of a module that is loaded already; None where this version has none."""
    return getattr(sys.modules.get(module), name, None)


def recall(
    dialogue: Dialogue,
    kind: str,
    read: Callable[[Any], list[Record]],
    write: Callable[[list[Message]], list[Record]],
) -> tuple[list[Record], bool]:
    """The past as the framework's own records, and whether they begin with one that it kept itself.

    Where a turn has none of this `kind`, or one that this version of the framework cannot read any more, its
    plain messages stand for it.
    """
    turns: list[tuple[list[Record], bool]] = []
    for past in dialogue.past:
        kept = past.memory.data if past.memory and past.memory.kind == kind else None
        try:
            own = None if kept is None else read(kept)
        except Exception as error:  # noqa: BLE001 - whatever the framework raises for what it cannot read
            own = _tell_unreadable(kind, f"{type(error).__name__}: {error}"[:300])
        turns.append((write(past.messages), False) if own is None else (own, True))
    return [record for records, _ in turns for record in records], bool(turns and turns[0][1])


@functools.cache
def _tell_unreadable(kind: str, why: str) -> None:
    log.warning(
        "turns that were kept by another version of %s cannot be read (%s); their texts are used, "
        "without the tool calls",
        *(kind, why),
    )


@functools.cache
def tell_once(message: str, *values: str) -> None:
    """A warning, the first time that this process would give it."""
    log.warning(message, *values)


def model_settings(ctx: Context, names: Mapping[str, str]) -> dict[str, Any]:
    """What agent.toml says of the model, under the framework's names; nothing for what it leaves open."""
    said = {"max_tokens": ctx.model.max_tokens, "timeout": ctx.model.timeout_s} if ctx.model else {}
    return {names[key]: value for key, value in said.items() if key in names and value is not None}


def as_text(value: Any) -> str:
    """An answer or a tool's result as text: itself, or JSON."""
    if isinstance(value, str):
        return value
    to_json = find("pydantic_core", "to_json")
    if to_json:
        return str(to_json(value, fallback=str), "utf-8")
    return json.dumps(value, ensure_ascii=False, default=str)


def refusal(tool: str) -> str:
    """What the model is told in place of a result."""
    return f"{tool} is switched off by the operator; do not call it again, and go on without it"


class Paragraphs:
    """Texts of one answer: what comes after a tool was called begins a paragraph of its own."""

    def __init__(self) -> None:
        self._said = self._interrupted = False

    def interrupt(self) -> None:
        """A tool was called."""
        self._interrupted = self._said

    def say(self, text: str) -> str:
        """`text` as it belongs after what was said before."""
        if not text:
            return ""
        gap = "\n\n" if self._interrupted else ""
        self._said, self._interrupted = True, False
        return gap + text
