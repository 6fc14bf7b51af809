"""reference.toml -> the reference for people (agent.md) and for editors (agent.schema.json).

In: the comments of reference.toml and the types of model.py. Out: the texts of the two files; `python -m
shipway.spec.reference --write` writes them, and without `--write` says whether they are up to date.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.spec import keys
from shipway.spec.model import Section, Spec
from shipway.spec.positions import positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipway.spec.keys import Pattern

SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"
_OTHER_WAY = re.compile(r"# ([a-z_]+) = .+")
OVERLAYS = {"env", "tenants"}
OBVIOUS = {"text in quotes", 'a list of texts: ["…"]', "true or false"}
"""Words that an example makes superfluous."""


@functools.cache
def text() -> str:
    """reference.toml."""
    return resources.files("shipway.spec").joinpath("reference.toml").read_text(encoding="utf-8")


@functools.cache
def _lines() -> Mapping[Pattern, int]:
    """The line where each known key is first written, also behind `#`; from 0."""
    found = [line.removeprefix("# ") if _OTHER_WAY.fullmatch(line) else line for line in text().split("\n")]
    first: dict[Pattern, int] = {}
    for path, line_number in sorted(positions("\n".join(found)).items(), key=lambda item: item[1]):
        if key := keys.find(path):
            first.setdefault(key.pattern, line_number - 1)
    return first


def documented() -> frozenset[Pattern]:
    """Every key that reference.toml shows."""
    return frozenset(_lines())


def described() -> Mapping[Pattern, str]:
    """The comment above each key or table, as one line; keys without a comment are left out."""
    lines, found = text().split("\n"), {}
    for pattern, at in _lines().items():
        comment: list[str] = []
        while at > 0 and lines[at - 1].startswith("# ") and not _OTHER_WAY.fullmatch(lines[at - 1]):
            at -= 1
            comment.insert(0, lines[at].removeprefix("# "))
        is_inline = pattern[:-1] in found and _lines()[pattern[:-1]] == _lines()[pattern]
        if comment and not is_inline and not _only_holds_tables(pattern):
            found[pattern] = " ".join(comment)
    return found


def _only_holds_tables(pattern: Pattern) -> bool:
    """[mcp], [services], [env] and [tenants], which nobody writes."""
    named = keys.known().get((*pattern, "*"))
    return named is not None and named.is_table and keys.known()[pattern].label is not None


def example(key: keys.Key) -> str:
    """The line of reference.toml that shows a key, such as `timeout = "60s"`; empty for a table."""
    kind = (_type(key.owner), key.pattern[-1])
    same = [p for p, k in keys.known().items() if (_type(k.owner), p[-1]) == kind]
    home = key.pattern[2:] if key.pattern[0] in OVERLAYS else key.pattern
    for pattern in (home, key.pattern, *(same if key.owner else ())):
        line = text().split("\n")[_lines()[pattern]].removeprefix("# ") if pattern in _lines() else ""
        name = r"\S+" if pattern and pattern[-1] == "*" else re.escape(key.pattern[-1])
        if re.match(rf"{name} = ", line):
            return line
    return ""


def _type(owner: type[Section] | None) -> str:
    """The name of a type; an overlay's, EnvModel, is that of what it overlays, Model."""
    return owner.__name__.removeprefix("Env") or "Env" if owner else ""


# -- JSON Schema -------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of agent.toml as people write it: durations and sizes are texts."""
    raw = Spec.model_json_schema(mode="validation")
    definitions = {name: _described(name, _clean(table)) for name, table in raw.pop("$defs").items()}
    root = _described("Spec", _clean(raw))
    return {"$schema": SCHEMA_URL, "title": "agent.toml", **root, "$defs": definitions}


@functools.cache
def _comments() -> Mapping[tuple[str, str], str]:
    """(type, key) -> the first comment on it; an overlay's type is described by what it overlays."""
    found: dict[tuple[str, str], str] = {}
    for pattern, comment in described().items():
        found.setdefault((_type(keys.known()[pattern].owner), pattern[-1]), comment)
    return found


def _described(name: str, table: dict[str, Any]) -> dict[str, Any]:
    kind = name.removeprefix("Env") or "Env"
    for key, value in table.get("properties", {}).items():
        if comment := _comments().get((kind, key)):
            value["description"] = comment
    return table


def _clean(value: Any) -> Any:
    """Without pydantic's titles, defaults and docstrings, and without null, which TOML does not have."""
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "anyOf" in value and {"type": "null"} in value["anyOf"]:
        rest = [option for option in value["anyOf"] if option != {"type": "null"}]
        return _clean(rest[0] if len(rest) == 1 else {"anyOf": rest})
    cleaned = {k: _clean(v) for k, v in value.items() if k not in ("title", "default", "description")}
    if "properties" in value:
        cleaned["properties"] = {name: _clean(item) for name, item in value["properties"].items()}
    if "patternProperties" in cleaned:
        cleaned["additionalProperties"] = False
    return cleaned


# -- Markdown ----------------------------------------------------------------------------------------------


def markdown() -> str:
    """docs/reference/agent.md: the whole file, then every table with its keys."""
    lines = [
        "# agent.toml",
        "",
        "*Made from `src/shipway/spec/reference.toml` by `python -m shipway.spec.reference --write`.*",
        "",
        "`name` and `entrypoint` alone make a working agent. What is said last wins: default, file, "
        "environment, tenant, command line. Editors that know JSON Schema complete and check the file with "
        "[agent.schema.json](agent.schema.json). What can be wrong with it is in [findings.md](findings.md).",
        "",
        "Durations end in ms, s, m, h or d; sizes in kB, MB, GB (powers of 1000) or Ki, Mi, Gi (powers of "
        "1024).",
        "",
    ]
    for table in _tables():
        lines += _markdown_table(table)
    return "\n".join(lines).rstrip() + "\n"


def _tables() -> list[Pattern]:
    tables = [p for p, key in keys.known().items() if p in _lines() and (key.is_table or keys.below(p))]
    written = [pattern for pattern in tables if not _only_holds_tables(pattern)]
    return [(), *sorted(written, key=lambda pattern: _lines()[pattern])]


def _markdown_table(table: Pattern) -> list[str]:
    heading = f"[{'.'.join('NAME' if p == '*' else p for p in table)}]" if table else "Top level"
    lines = [f"## {heading}", ""]
    if about := described().get(table, ""):
        lines += [about, ""]
    rows = [p for p, key in keys.known().items() if p[:-1] == table and p in _lines() and not key.is_table]
    if rows and not _is_overlay(table):
        lines += ["| key | what it is | what to write |", "|---|---|---|"]
        lines += [_row(pattern) for pattern in rows] + [""]
    return lines


def _is_overlay(table: Pattern) -> bool:
    """[env.NAME.model], whose keys are those of [model]."""
    return len(table) == 3 and table[0] in OVERLAYS and (table[2],) in keys.known()


def _row(pattern: Pattern) -> str:
    key = keys.known()[pattern]
    name = "NAME" if pattern[-1] == "*" else pattern[-1]
    shown = f"`{example(key)}`" if example(key) else ""
    words = "" if shown and key.expected in OBVIOUS else key.expected
    cells = (
        f"`{name}`",
        described().get(pattern, ""),
        ": ".join(filter(None, (words, shown))),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


# -- Command -----------------------------------------------------------------------------------------------


def files() -> dict[str, str]:
    """The texts of docs/reference, by file name."""
    return {
        "agent.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        "agent.md": markdown(),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or say which of them differ; exit code 1 when one does."""
    directory = Path(__file__).parents[3] / "docs" / "reference"
    stale = []
    for name, content in files().items():
        path = directory / name
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(name)
        if arguments == ["--write"]:
            path.write_text(content, encoding="utf-8")
    print(*(stale or ["up to date"]), sep="\n", file=sys.stderr)
    return int(bool(stale) and arguments != ["--write"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
