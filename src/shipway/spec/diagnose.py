"""What pydantic refuses -> findings in the words of agent.toml.

In: a ValidationError and the document it is about. Out: one finding for each key that is wrong, at its line.
Of pydantic's errors only the place and a few types are used; what was expected comes from keys.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from shipway.spec import keys, model
from shipway.spec.values import HeaderName, Label, SecretName
from shipway.spec.words import dotted, listed, nearest, seen

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from shipway.errors import Finding
    from shipway.spec.merge import Merged
    from shipway.spec.positions import Path

ENTRYPOINTS: dict[Path, str] = {("entrypoint",): "agent", ("evals", "live"): "score"}
"""Keys that name something in a module, and how that is mostly called."""


def diagnose(error: ValidationError, merged: Merged) -> list[tuple[Path, Finding]]:
    """Each wrong path of `merged.data` with its finding, in pydantic's order, one for a place."""
    found: dict[Path, Finding] = {}
    for detail in error.errors(include_url=False, include_input=False):
        path = _place(detail, merged.data)
        if path is not None and path not in found:
            found[path] = _finding(detail["type"], detail["loc"], path, merged)
    return list(found.items())


# -- Where -------------------------------------------------------------------------------------------------


def _place(detail: ErrorDetails, data: Any) -> Path | None:
    """The path in the document; None for an error of a branch of a union that was never meant.

    pydantic's own places also name the branches of unions, which are no keys; a union of plain values is
    one place, and a table among the secret sources is read as the branch that its keys belong to.
    """
    path: Path = ()
    for part in detail["loc"]:
        if _holds(data, part):
            path, data = (*path, part), data[part]
        elif detail["type"] == "missing" and part == detail["loc"][-1]:
            return (*path, part)
        elif not (_is_secret(path) and isinstance(data, dict)):
            break
        elif part != _branch(data):
            return None
    return path


def _holds(data: Any, part: str | int) -> bool:
    is_item = isinstance(data, tuple) and isinstance(part, int) and part < len(data)
    return is_item or (isinstance(data, dict) and part in data)


def _is_secret(path: Path) -> bool:
    """Whether `path` is one entry of [secrets] or of [env.NAME.secrets]."""
    return (len(path) == 2 and path[0] == "secrets") or (
        len(path) == 4 and path[0] == "env" and path[2] == "secrets"
    )


def _branch(source: dict[str, Any]) -> str:
    stored = set(model.StoredSecret.model_fields) & set(source)
    kind = model.StoredSecret if stored or not source else model.BrokerSecret
    return kind.__name__


# -- What --------------------------------------------------------------------------------------------------


def _finding(kind: str, loc: tuple[str | int, ...], path: Path, merged: Merged) -> Finding:
    value = _at(merged.data, path)
    if kind == "missing":
        return _missing(path, merged)
    if kind == "extra_forbidden":
        return _unknown(path, merged)
    if loc[-1] == "[key]":
        return _wrong_name(path, merged)
    if _is_secret(path) and isinstance(value, str):
        return _pasted(path, merged)
    return _wrong_value(path, value, merged)


def _missing(path: Path, merged: Merged) -> Finding:
    key = keys.find(path)
    expected = f": {key.expected}" if key else ""
    where = _table(path[:-1], merged) if len(path) > 1 else merged.document.file
    message = f"{where} has no `{path[-1]}`, and needs it{expected}"
    return merged.finding("missing-key", path, message, _example(path, "add, for example, "))


def _unknown(path: Path, merged: Merged) -> Finding:
    name, table = str(path[-1]), path[:-1]
    known = keys.below(table)
    message = f"unknown key `{merged.name(path)}`"
    if close := nearest(name, known):
        return merged.finding("unknown-key", path, f"{message}; did you mean `{close}`?", f"write `{close}`")
    if len(table) == 2 and table[0] == "env" and name in model.Spec.model_fields:
        fix = f"keep [{name}] outside of [{dotted(table)}]; an environment may change {listed(known)}"
        return merged.finding("unknown-key", path, f"`{name}` is the same in every environment", fix)
    if homes := _homes(name):
        belongs = f"; `{name}` belongs in {listed(homes, 'or')}"
        return merged.finding("unknown-key", path, message + belongs, f"move it to {listed(homes, 'or')}")
    where = _table(table, merged) if table else "the top level"
    return merged.finding("unknown-key", path, message, f"remove it; {where} may hold {listed(known)}")


def _table(path: Path, merged: Merged) -> str:
    is_item = isinstance(path[-1], int)
    return f"`{merged.name(path)}`" if is_item else f"[{merged.name(path)}]"


def _homes(name: str) -> list[str]:
    """The tables outside of env and tenants that know a key of this name, as headers."""
    tables = [p[:-1] for p in keys.known() if p[-1] == name and p[0] not in ("env", "tenants")]
    headers = [
        f"[{'.'.join('NAME' if part == '*' else part for part in table)}]" for table in tables if table
    ]
    return ["the top level, above the first table"] if () in tables else headers[:3]


def _wrong_name(path: Path, merged: Merged) -> Finding:
    name, table = str(path[-1]), path[:-1]
    key = keys.find(table)
    expected = keys.words(key.label) if key else "another name"
    is_label, is_header = (key is not None and key.label == kind for kind in (Label, HeaderName))
    problem = (_label_problem(name) if is_label else "") or "this name does not fit"
    message = f"`{merged.name(path)}`: {problem}; expected {expected}"
    better = _as_label(name) if is_label else re.sub(r"\W", "-" if is_header else "_", name)
    return merged.finding("wrong-value", path, message, f"rename it, for example to `{better}`")


def _pasted(path: Path, merged: Merged) -> Finding:
    name = path[-1]
    message = (
        f'`{merged.name(path)}` is neither "env" nor "file" (its text is not shown: it may be the secret)'
    )
    fix = (
        f'say where it comes from, {name} = "env", and keep the value out of this file; '
        "a value that was committed has to be replaced"
    )
    return merged.finding("secret-value", path, message, fix)


def _wrong_value(path: Path, value: Any, merged: Merged) -> Finding:
    key = keys.find(path)
    expected = key.expected if key else "something else"
    shown = seen(value)
    if key and isinstance(value, str) and key.kind == SecretName:
        shown = "no name of a secret (not shown: it may be the value)"
    problem = _problem(path, value)
    message = f"`{merged.name(path)}` is {shown}{problem and f', which {problem}'}; expected {expected}"
    return merged.finding("wrong-value", path, message, _fix(path, value, key) or _example(path))


def _problem(path: Path, value: Any) -> str:
    if path == ("name",) and isinstance(value, str):
        return _label_problem(value)
    if path in ENTRYPOINTS and isinstance(value, str):
        return "names a file" if ".py" in value or "/" in value else "" if ":" in value else "has no `:`"
    return ""


def _fix(path: Path, value: Any, key: keys.Key | None) -> str:
    if path == ("name",) and isinstance(value, str) and _as_label(value):
        return f'write name = "{_as_label(value)}"'
    if path in ENTRYPOINTS and isinstance(value, str) and (as_module := _as_module(value, ENTRYPOINTS[path])):
        return f'write {path[-1]} = "{as_module}"'
    if key and isinstance(value, str):
        choices = re.findall(r'"([\w/-]+)"', key.expected)
        if close := nearest(value, choices):
            return f'write {path[-1]} = "{close}"' if isinstance(path[-1], str) else f'write "{close}"'
    if key and key.kind is bool and value in ("true", "false"):
        return f"write {path[-1]} = {value}, without quotes"
    if key and keys.plain(key.kind) in (int, float) and isinstance(value, str) and value.isdigit():
        return f"write {path[-1]} = {value}, without quotes"
    return ""


def _example(path: Path, lead: str = "for example: ") -> str:
    """The line of reference.toml for this key, or for the list that it is in."""
    from shipway.spec.reference import example  # only when something is wrong

    key = keys.find(path[:-1] if isinstance(path[-1], int) else path)
    line = example(key) if key else ""
    return f"{lead}{line}" if line else ""


# -- Names -------------------------------------------------------------------------------------------------


def _label_problem(name: str) -> str:
    """What keeps a text from being a DNS label of at most 40 characters."""
    reasons: list[tuple[bool, str]] = [
        (not name, "is empty"),
        (name != name.lower(), "has capital letters"),
        ("_" in name, "has an underscore"),
        (" " in name, "has a space"),
        (bool(re.search(r"[^A-Za-z0-9_ -]", name)), "has characters other than a-z, 0-9 and -"),
        (not re.match(r"[A-Za-z]", name) and bool(name), "does not begin with a letter"),
        (name.endswith("-"), "ends with -"),
        (len(name) > 40, f"is {len(name)} characters long"),
    ]
    return listed(reason for holds, reason in reasons if holds)


def _as_label(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:40].strip("-")


def _as_module(entrypoint: str, usual: str) -> str:
    """`src/support/agent.py:agent` -> `support.agent:agent`; empty where that cannot be said."""
    file, _, attribute = entrypoint.partition(":")
    module = file.removeprefix("./").removeprefix("src/").removesuffix(".py").strip("/").replace("/", ".")
    fits = re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", module)
    called = "()" if attribute.endswith("()") else ""
    name = re.match(r"[A-Za-z_]\w*", attribute)
    return f"{module}:{name[0] if name else usual}{called}" if fits else ""


def _at(data: Any, path: Path) -> Any:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        else:
            data = data[part] if isinstance(data, tuple) and isinstance(part, int) else None
    return data
