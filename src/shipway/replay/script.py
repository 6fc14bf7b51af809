"""Scripted replies, `replays/*.toml`: what a model would say, in a few lines, until there is a recording.

In: the text of a file. Out: `Reply` values, and findings with their lines. `choose` picks the reply to a
last message. docs/reference/replays.md documents the keys.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from shipway.errors import Finding
from shipway.replay.apis.provider import Call, LastMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RULE = "replay-script"
_KEYS = {"when": str, "when_tool": str, "say": str, "call": dict}
_GROUP = re.compile(r"\{(\d)\}")


@dataclass(frozen=True, slots=True)
class Reply:
    """One [[reply]]. `when` is searched in the user's text or, with `when_tool`, in that tool's result."""

    place: str  # "scripted.toml:7"
    when: re.Pattern[str] | None = None
    when_tool: str | None = None
    say: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def default(self) -> bool:
        return self.when is None and self.when_tool is None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A reply with the groups of its `when` filled in."""

    place: str
    say: str
    calls: tuple[Call, ...]


def choose(replies: Iterable[Reply], last: LastMessage) -> Chosen | None:
    """The first reply that matches; else the default one; else None."""
    for reply in sorted(replies, key=lambda reply: reply.default):
        if (groups := _match(reply, last)) is not None:
            calls = tuple(Call(call.tool, _fill(call.input, groups)) for call in reply.calls)
            return Chosen(reply.place, _fill(reply.say, groups), calls)
    return None


def _match(reply: Reply, last: LastMessage) -> tuple[str, ...] | None:
    """The whole match and its groups; None where the reply does not apply."""
    if reply.default:
        return ("",)
    if reply.when_tool is None and last.results:
        return None  # the question was answered by a call: only `when_tool` goes on from there
    text = last.text if reply.when_tool is None else last.results.get(reply.when_tool)
    if text is None:
        return None
    found = re.search(reply.when or "", text)
    return (found[0], *(group or "" for group in found.groups())) if found else None


def _fill(value: Any, groups: Sequence[str]) -> Any:
    if isinstance(value, str):
        return _GROUP.sub(lambda match: groups[int(match[1])], value)
    if isinstance(value, list):
        return [_fill(item, groups) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, groups) for key, item in value.items()}
    return value


# -- Reading -------------------------------------------------------------------------------------------------


def read(text: str, file: str) -> tuple[list[Reply], list[Finding]]:
    """The replies of one file in their order; `file` names it in findings."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        return [], [Finding(RULE, f"not TOML: {error}", "correct it", file, int(at[1]) if at else 0)]
    tables = document.get("reply", [])
    if (
        set(document) - {"reply", "fault"}
        or not isinstance(tables, list)
        or not all(isinstance(t, dict) for t in tables)
    ):
        seen = ", ".join(document)
        return [], [
            Finding(
                RULE,
                f"expected [[reply]] and [[fault]] tables, saw {seen}",
                "see docs/reference/replays.md",
                file,
            )
        ]
    lines = [i for i, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*reply\s*\]\]", line)]
    replies, findings = [], []
    for index, table in enumerate(tables):
        line = lines[index] if index < len(lines) else 0
        if problem := _problem(table):
            findings.append(Finding(RULE, *problem, file, line))
        else:
            replies.append(_reply(table, f"{PurePath(file).name}:{line}"))
    return replies, findings


def _reply(table: dict[str, Any], place: str) -> Reply:
    when = re.compile(table["when"], re.IGNORECASE) if "when" in table else None
    calls = (Call(table["call"]["tool"], table["call"].get("input", {})),) if "call" in table else ()
    return Reply(place, when, table.get("when_tool"), table.get("say", ""), calls)


def _problem(table: dict[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a [[reply]], and what to do."""
    for key, value in table.items():
        if key not in _KEYS:
            return f"unknown key {key}", f"use {', '.join(_KEYS)}"
        if not isinstance(value, _KEYS[key]):
            return f"{key}: expected {_named(_KEYS[key])}, saw {value!r}", "see docs/reference/replays.md"
    if not table.get("say") and "call" not in table:
        return (
            "the reply neither says nor calls anything",
            'add say = "…" or call = { tool = "…", input = {…} }',
        )
    if "call" in table and (problem := _call_problem(table)):
        return problem
    try:
        groups = re.compile(table.get("when", "")).groups
    except re.error as error:
        return (
            f"when: not a regular expression: {error}",
            "correct it; a literal ( or ? is written \\( or \\?",
        )
    wanted = max((int(n) for n in _GROUP.findall(repr((table.get("say"), table.get("call"))))), default=0)
    if wanted > groups:
        return f"{{{wanted}}} has no group: `when` has {groups}", "add (…) to `when`, or remove the reference"
    return None


def _call_problem(table: dict[str, Any]) -> tuple[str, str] | None:
    call = table["call"]
    shape = isinstance(call.get("tool"), str) and isinstance(call.get("input", {}), dict)
    if not shape or set(call) - {"tool", "input"}:
        return f"call: expected a tool and an input, saw {call!r}", 'write call = { tool = "…", input = {…} }'
    if "when" not in table and "when_tool" not in table:
        return (
            "a reply that always applies and calls a tool never ends",
            "add `when`: the question that needs the tool",
        )
    return None


def _named(kind: type) -> str:
    return "text" if kind is str else "a table"
