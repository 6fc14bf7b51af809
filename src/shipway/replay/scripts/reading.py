"""Reading a script.

In: the text of a `.toml` file. Out: a `Script`, and findings with their lines for everything that is wrong.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from shipway.errors import Finding
from shipway.replay.apis.provider import Call
from shipway.replay.scripts.replies import GROUP, Reply, Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RULE = "replay-script"
PAGE = "see docs/reference/scripts.md"
STOPS = ("max_tokens", "refusal")

_TABLES = ("reply", "ignore", "fault")
_PATTERNS = ("when", "when_said", "when_system", "when_model")
_SHAPES: dict[str, tuple[tuple[type, ...], str]] = {
    "when": ((str,), "a regular expression"),
    "when_tool": ((str, list), "the name of a tool, or a list of them"),
    "when_said": ((str,), "a regular expression"),
    "when_system": ((str,), "a regular expression"),
    "when_model": ((str,), "a regular expression"),
    "times": ((int,), "a whole number above 0"),
    "say": ((str, dict, list), "text, or a table that is said as JSON"),
    "call": ((dict, list), "a table with tool and input, or a list of them"),
    "stop": ((str,), f"{' or '.join(STOPS)}"),
    "usage": ((dict,), "a table such as { input = 900, output = 12 }"),
    "pace": ((int, float), "milliseconds above 0"),
}
KEYS = tuple(_SHAPES)

Problem = tuple[str, str, str]
"""The key it is about, what is wrong, what to do."""


def join(scripts: Sequence[Script]) -> Script:
    """Several scripts as one."""
    return Script(
        tuple(reply for script in scripts for reply in script.replies),
        tuple(pattern for script in scripts for pattern in script.ignored),
    )


def read(text: str, file: str) -> tuple[Script, list[Finding]]:
    """The script of one file; `file` names it in findings."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Script(), [_no_toml(error, file)]
    if problem := _document_problem(document):
        return Script(), [Finding(RULE, *problem, file, _line(text, tuple(document)))]
    findings: list[Finding] = []
    replies = []
    for table, lines in zip(document.get("reply", []), _tables(text, "reply"), strict=False):
        problems = list(_problems(table))
        findings += [
            Finding(RULE, words, fix, file, lines.get(key, lines[""])) for key, words, fix in problems
        ]
        if not problems:
            replies.append(_reply(table, f"{PurePath(file).name}:{lines['']}"))
    ignored = []
    for table, lines in zip(document.get("ignore", []), _tables(text, "ignore"), strict=False):
        if problem := _ignore_problem(table):
            findings.append(Finding(RULE, *problem, file, lines[""]))
        else:
            ignored.append(re.compile(table["text"]))
    return Script(tuple(replies), tuple(ignored)), findings


def _reply(table: dict[str, Any], place: str) -> Reply:
    patterns: Any = {key: re.compile(table[key], re.IGNORECASE) for key in _PATTERNS if key in table}
    tools = table.get("when_tool", [])
    return Reply(
        place,
        when_tools=(tools,) if isinstance(tools, str) else tuple(tools),
        times=table.get("times"),
        say=table.get("say", ""),
        calls=tuple(Call(call["tool"], call.get("input", {})) for call in _calls(table)),
        stop=table.get("stop", ""),
        usage=table.get("usage", {}),
        pace_ms=table.get("pace"),
        **patterns,
    )


def _calls(table: dict[str, Any]) -> list[Any]:
    call = table.get("call", [])
    return call if isinstance(call, list) else [call]


# -- Where things stand --------------------------------------------------------------------------------------


def _tables(text: str, name: str) -> Iterator[dict[str, int]]:
    """For each [[name]] the lines of its keys; the line of the table itself is that of the key ``."""
    lines: dict[str, int] = {}
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*\[\[?\s*([\w.]+)\s*\]\]?", line):
            if inside and not found[1].startswith(f"{name}."):
                yield lines
                inside = False
            if found[1] == name:
                inside, lines = True, {"": number}
            elif inside:
                lines.setdefault(found[1].split(".")[1], number)
        elif inside and (key := re.match(r"\s*([\w-]+)\s*[=.]", line)):
            lines.setdefault(key[1], number)
    if inside:
        yield lines


def _line(text: str, keys: Sequence[str]) -> int:
    """The line of the first key that is no table of a script."""
    wrong = next((key for key in keys if key not in _TABLES), keys[0] if keys else "")
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*(?:\[+\s*)?{re.escape(wrong)}\b", line):
            return number
    return 0


# -- What is wrong -------------------------------------------------------------------------------------------


def _no_toml(error: tomllib.TOMLDecodeError, file: str) -> Finding:
    at = re.search(r"at line (\d+)", str(error))
    fix = "correct it"
    if "nescaped '\\'" in str(error):
        fix = "put a regular expression into 'single quotes': there, a \\ is a \\"
    return Finding(RULE, f"not TOML: {error}", fix, file, int(at[1]) if at else 0)


def _document_problem(document: dict[str, Any]) -> tuple[str, str] | None:
    for key, value in document.items():
        if key not in _TABLES:
            return f"expected [[reply]] tables, saw {key}", _instead(key, _TABLES, "[[{}]]")
        if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
            return f"expected a list of [[{key}]] tables, saw one {key}", f"write [[{key}]]"
    return None


def _instead(seen: str, known: Iterable[str], form: str = "{}") -> str:
    known = tuple(known)
    alike = (
        "reply"
        if seen in ("replies", "response")
        else next(iter(difflib.get_close_matches(seen, known, 1)), "")
    )
    return f"write {form.format(alike)}" if alike else f"use {', '.join(form.format(name) for name in known)}"


def _problems(table: dict[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with a [[reply]]; what follows from one thing is not said twice."""
    shapes = list(_shape_problems(table))
    yield from shapes
    if shapes:
        return
    if not table.get("say") and "call" not in table:
        fix = 'add say = "…" or call = { tool = "…", input = {…} }'
        yield "", "the reply neither says nor calls anything", fix
    broken = [problem for key in _PATTERNS if key in table for problem in _pattern_problems(key, table[key])]
    yield from broken
    yield from _call_problems(table)
    yield from _value_problems(table)
    if not broken:
        yield from _group_problems(table)


def _shape_problems(table: dict[str, Any]) -> Iterator[Problem]:
    for key, value in table.items():
        if key not in _SHAPES:
            yield key, f"unknown key {key}", _instead(key, KEYS)
            continue
        kinds, words = _SHAPES[key]
        if not isinstance(value, kinds) or isinstance(value, bool):
            yield key, f"{key}: expected {words}, saw {value!r}", PAGE
    tools = table.get("when_tool")
    if isinstance(tools, list) and not (tools and all(isinstance(tool, str) for tool in tools)):
        yield "when_tool", f"when_tool: expected names of tools, saw {tools!r}", PAGE


def _pattern_problems(key: str, pattern: str) -> Iterator[Problem]:
    if "\b" in pattern:
        fix = "put the regular expression into 'single quotes': there, a \\ is a \\"
        yield key, f'{key}: "\\b" in double quotes is a backspace, which nobody types', fix
        return
    try:
        re.compile(pattern)
    except re.error as error:
        fix = "correct it; a literal ( or ? is written \\( or \\?"
        yield key, f"{key}: not a regular expression: {error}", fix
        return
    if re.search(r"(?<!\\)\$(?=[\w ])|[\w ](?<!\\)\^(?=[\w ])", re.sub(r"\[.*?\]", "", pattern)):
        fix = "escape it: \\^, \\$; or move ^ to the start and $ to the end"
        yield key, f"{key}: can never match: text after its $ or before its ^", fix


def _call_problems(table: dict[str, Any]) -> Iterator[Problem]:
    for call in _calls(table):
        fits = isinstance(call, dict) and isinstance(call.get("tool"), str)
        if not fits or not isinstance(call.get("input", {}), dict) or set(call) - {"tool", "input"}:
            fix = 'write call = { tool = "…", input = {…} }'
            yield "call", f"call: expected a tool and an input, saw {call!r}", fix
    if "call" in table and not ({"when", "when_tool", "when_said", "times"} & set(table)):
        fix = "add `when`: the question that needs the tool; or `times`"
        yield "call", "a reply that always applies and calls a tool never ends", fix


def _value_problems(table: dict[str, Any]) -> Iterator[Problem]:
    if (stop := table.get("stop")) is not None and stop not in STOPS:
        yield "stop", f"stop: expected {' or '.join(STOPS)}, saw {stop}", _instead(stop, STOPS)
    if "stop" in table and "call" in table:
        yield "stop", "an answer that calls a tool stops for that", "leave out stop, or call"
    for key in ("times", "pace"):
        if table.get(key, 1) <= 0:
            yield key, f"{key}: expected {_SHAPES[key][1]}, saw {table[key]}", PAGE
    usage = table.get("usage", {})
    if set(usage) - {"input", "output"} or not all(type(n) is int and n >= 0 for n in usage.values()):
        yield (
            "usage",
            f"usage: expected numbers of tokens, saw {usage!r}",
            "write { input = 900, output = 12 }",
        )


def _group_problems(table: dict[str, Any]) -> Iterator[Problem]:
    for key in ("say", "call"):
        wanted = max((int(n) for n, _ in GROUP.findall(repr(table.get(key)))), default=0)
        groups = re.compile(table.get("when", "")).groups
        if wanted > groups:
            fix = "add (…) to `when`, or remove the reference"
            yield key, f"{{{wanted}}} has no group: `when` has {groups}", fix


def _ignore_problem(table: dict[str, Any]) -> tuple[str, str] | None:
    if set(table) != {"text"} or not isinstance(table["text"], str):
        return f"[[ignore]]: expected text = a regular expression, saw {table!r}", "write text = '…'"
    try:
        matches_nothing = re.compile(table["text"]).match("")
    except re.error as error:
        return f"text: not a regular expression: {error}", "correct it"
    if matches_nothing:
        return "text: it matches an empty text, and so everywhere", "make it match at least one character"
    return None
