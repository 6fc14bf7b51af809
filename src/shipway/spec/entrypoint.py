"""Whether what agent.toml names is there, by looking at files: nothing of the project is imported or run.

In: `module:attribute`, the project's paths, the text of the module. Out: where the module is, or findings.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.errors import Finding
from shipway.spec.tree import walk
from shipway.spec.words import listed, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from shipway.spec.load import Loaded
    from shipway.spec.tree import Tree

IMAGE_PYTHON = (3, 13)
ROOTS = ("src", "")
"""Where a project keeps its packages, the first that has the entry point's."""


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """`support.agent:make()` in its parts, and the file that it is in."""

    module: str
    attribute: str
    source_root: str
    file: str


@dataclass(frozen=True, slots=True)
class Role:
    """A key of agent.toml that names something in the project, and the words for it."""

    key: tuple[str, ...]
    noun: str
    what: str
    does: str


AGENT = Role(("entrypoint",), "the entry point", "the agent", "what answers")
LIVE = Role(("evals", "live"), "the live scorer", "the function", "what scores a turn")


def locate(entrypoint: str, paths: Collection[str]) -> Entrypoint | None:
    """The entry point's file among the project's paths; None when it is not there."""
    module, _, attribute = entrypoint.partition(":")
    for root in ROOTS:
        base = f"{root}/" if root else ""
        for file in (f"{base}{module.replace('.', '/')}{end}" for end in (".py", "/__init__.py")):
            if file in paths:
                return Entrypoint(module, attribute.removesuffix("()"), root, file)
    return None


def findings(loaded: Loaded, tree: Tree, entrypoint: str, role: Role = AGENT) -> Iterator[Finding]:
    """What keeps `entrypoint` from being in an image and working there, as far as files tell."""

    def finding(message: str, fix: str) -> Finding:
        return loaded.merged.finding("entrypoint-missing", role.key, message, fix)

    if entry := locate(entrypoint, tree.paths):
        yield from _module_findings(tree.root / entry.file, entry, role, finding)
    elif kept_out := locate(entrypoint, tree.ignored):
        message = f"{role.noun}'s module {kept_out.file} is kept out of images by .dockerignore"
        fix = f"add the line `!{kept_out.file}` at the end of .dockerignore, or take the pattern out"
        yield finding(message, fix)
    elif tree.by_git and (ignored := locate(entrypoint, tuple(walk(tree.root, tree.root)))):
        message = f"{role.noun}'s module {ignored.file} is ignored by git, and would not be in the image"
        fix = f"take it out of .gitignore; `git check-ignore -v {ignored.file}` says which line"
        yield finding(message, fix)
    else:
        yield finding(*missing_module(entrypoint, tree.paths, role))


def _module_findings(
    file: Path, entry: Entrypoint, role: Role, finding: Callable[[str, str], Finding]
) -> Iterator[Finding]:
    if not file.is_file():
        return  # a link that leads nowhere, which is a finding of its own
    text = file.read_text(encoding="utf-8", errors="replace")
    if problem := syntax_problem(text, entry.file):
        yield problem
    if missing := missing_attribute(text, entry, role):
        yield finding(*missing)


def missing_module(entrypoint: str, paths: Collection[str], role: Role = AGENT) -> tuple[str, str]:
    """Message and fix for an entry point whose module is not among the project's paths."""
    module, _, attribute = entrypoint.partition(":")
    known = sorted(set(_modules(paths)))
    file = module.replace(".", "/") + ".py"
    message = f"{role.noun}'s module `{module}` is not there: neither {file} nor src/{file}"
    deeper = next((name for name in known if name.endswith(f".{module}")), None)
    if close := deeper or nearest(module, known):
        return message, f'write {role.key[-1]} = "{close}:{attribute}"'
    if not known:
        return message, f"write {role.what} into that file"
    return message, f"name one of the project's modules: {listed(known[:8], 'or')}"


def _modules(paths: Collection[str]) -> Iterator[str]:
    for path in paths:
        inner = path.removeprefix("src/")
        if re.fullmatch(r"([A-Za-z_]\w*/)*[A-Za-z_]\w*\.py", inner) and not inner.startswith("tests/"):
            yield inner.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def syntax_problem(text: str, file: str, python: tuple[int, int] = sys.version_info[:2]) -> Finding | None:
    """A finding for a module that is not Python; None where `python`, which reads it, is too old to say."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        if python >= IMAGE_PYTHON:
            line = error.lineno or 0 if isinstance(error, SyntaxError) else 0
            return Finding("python-syntax", f"not Python: {error.args[0]}", "correct the line", file, line)
    return None


def missing_attribute(text: str, entry: Entrypoint, role: Role = AGENT) -> tuple[str, str] | None:
    """Message and fix when the module cannot have the attribute; None when it has it, or may have it."""
    try:
        names = _defined(ast.parse(text).body)
    except (SyntaxError, ValueError):
        return None
    if entry.attribute in names or not {"*", "__getattr__"}.isdisjoint(names):
        return None
    message = f"the module `{entry.module}` defines no `{entry.attribute}`, which {role.noun} names"
    public = sorted(name for name in names if not name.startswith("_"))
    if close := nearest(entry.attribute, public):
        return message, f'write {role.key[-1]} = "{entry.module}:{close}"'
    there = f"it defines {listed(public[:12])}" if public else "it defines nothing"
    return message, f"name {role.does}; {there}"


def _defined(body: list[ast.stmt]) -> set[str]:
    """The names that a module's top level binds, also in branches; `*` for a star import."""
    names: set[str] = set()
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name.split(".")[0] for alias in statement.names)
        else:
            names.update(_bound(statement))
    return names


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement assigns, and what the blocks inside of it define."""
    for field in ("body", "orelse", "finalbody"):
        yield from _defined(getattr(statement, field, []))
    for inner in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        yield from _defined(inner.body)
    expressions = [node for node in ast.iter_child_nodes(statement) if not isinstance(node, ast.stmt)]
    for node in (inner for expression in expressions for inner in ast.walk(expression)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
