"""The sources of a project -> what its agent.toml should say.

In: a directory without agent.toml. Out: `Detected`: name, entry point, framework, provider, model and MCP
servers, each with the place it was seen. Sources are parsed, never imported: nothing of the project runs.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IGNORED = {"tests", "test", "docs", "build", "dist", "node_modules", "examples", "evals", "scripts"}
_DEPTH = 3

PROVIDERS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google.genai": "gemini",
    "langchain_anthropic": "anthropic",
    "langchain_openai": "openai",
    "langchain_google_genai": "gemini",
    "pydantic_ai.models.anthropic": "anthropic",
    "pydantic_ai.models.openai": "openai",
    "pydantic_ai.models.google": "gemini",
    "google.adk": "gemini",
    "agents": "openai",
}
"""Imported package -> provider, unless a model's text names one."""

NAMED = re.compile(r"(openai|anthropic|google)(?:[-_](?:responses|chat|gla|genai))?:([\w.-]+)")
"""How frameworks write a model with its provider: `openai:gpt-5`, `google_genai:gemini-2.5-pro`."""

FRAMEWORKS = {
    "pydantic_ai": "pydantic-ai",
    "agents": "openai-agents",
    "langgraph": "langgraph",
    "langchain.agents": "langgraph",
    "claude_agent_sdk": "claude-agent-sdk",
    "google.adk": "google-adk",
    "fastapi": "ASGI",
    "starlette": "ASGI",
    "quart": "ASGI",
    "litestar": "ASGI",
}
_ASGI_CLASSES = {"FastAPI", "Starlette", "Quart", "Litestar"}
_AGENT_CLASSES = {
    "Agent": ("pydantic_ai", "agents", "google.adk"),
    **dict.fromkeys(("LlmAgent", "SequentialAgent", "LoopAgent", "ParallelAgent"), ("google.adk",)),
    "create_agent": ("langchain.agents",),
    "create_react_agent": ("langgraph",),
}
_NAMES = ("agent", "app", "chat", "respond", "answer", "run", "main", "handle", "handler", "graph")
"""Names that entry points have, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that could be the entry point. `line` is where it is defined."""

    entrypoint: str
    kind: str  # "async function", "generator", "function", "ASGI", or a framework's name
    file: str
    line: int
    likeness: int
    """How likely it is meant, higher is likelier."""


@dataclass(frozen=True, slots=True)
class Server:
    """An MCP server named in an `.mcp.json`, as `[mcp.NAME]` would say it."""

    name: str
    run: str | None = None
    args: tuple[str, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Detected:
    name: str
    candidates: tuple[Candidate, ...]  # the likeliest first
    provider: str | None = None
    model: str | None = None
    prompts: str | None = None
    servers: tuple[Server, ...] = ()
    skipped: tuple[str, ...] = ()  # what was seen and cannot be said in agent.toml yet, in words


def detect(root: Path) -> Detected:
    """Read the project below `root`. Files that do not parse are passed over."""
    modules = list(_modules(root))
    candidates = sorted(
        (c for file, name, tree in modules for c in _candidates(file, name, tree, root)),
        key=lambda c: (-c.likeness, c.file, c.line),
    )
    servers, skipped = _servers(root)
    imported = [name for _, _, tree in modules for name in _imports(tree)]
    named = next((found for _, _, tree in modules for found in _named_models(tree)), None)
    return Detected(
        name=label(_declared_name(root) or root.resolve().name),
        candidates=tuple(candidates),
        provider=named[0]
        if named
        else next((p for package, p in PROVIDERS.items() if _uses(imported, package)), None),
        model=named[1] if named else next((m for _, _, tree in modules for m in _models(tree)), None),
        prompts="prompts" if (root / "prompts").is_dir() else None,
        servers=servers,
        skipped=skipped,
    )


def label(name: str) -> str:
    """A DNS label made from any name: `My_Agent 2` -> `my-agent-2`."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return text if text[:1].isalpha() else f"agent-{text}".strip("-")


# -- Modules and what they define ---------------------------------------------------------------------------


def _modules(root: Path) -> Iterator[tuple[Path, str, ast.Module]]:
    """Each module as its file, its dotted name below the source root, and its tree."""
    source = root / "src" if (root / "src").is_dir() else root
    for file in sorted(source.rglob("*.py")):
        parts = file.relative_to(source).with_suffix("").parts
        if len(parts) > _DEPTH or any(p in IGNORED or p.startswith((".", "test_")) for p in parts):
            continue
        if not all(part.isidentifier() for part in parts) or parts[-1] in ("conftest", "setup"):
            continue
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, OSError):
            continue
        yield file, ".".join(parts).removesuffix(".__init__"), tree


def _candidates(file: Path, module: str, tree: ast.Module, root: Path) -> Iterator[Candidate]:
    imported = list(_imports(tree))
    for node in tree.body:
        found = _function(node) or _assigned(node, imported)
        if found:
            name, kind, likeness = found
            likeness += 2 if module.rpartition(".")[2] in _NAMES else 0
            place = str(file.relative_to(root))
            yield Candidate(f"{module}:{name}", kind, place, node.lineno, likeness)


def _function(node: ast.stmt) -> tuple[str, str, int] | None:
    """A function that takes messages, or messages and a context."""
    if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) or node.name.startswith("_"):
        return None
    arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    needed = len(arguments) - len(node.args.defaults)
    if not arguments or needed > 2 or any(d is None for d in node.args.kw_defaults):
        return None
    fits = arguments[0] in ("messages", "history", "conversation")
    if not fits and node.name not in _NAMES:
        return None
    asynchronous = isinstance(node, ast.AsyncFunctionDef)
    kind = "generator" if _yields(node) else "async function" if asynchronous else "function"
    return node.name, kind, (6 if fits else 0) + _named(node.name) + (2 if asynchronous else 0)


def _assigned(node: ast.stmt, imported: list[str]) -> tuple[str, str, int] | None:
    """`app = FastAPI()`, `agent = Agent(…)`, `graph = builder.compile()`."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    value = getattr(node, "value", None)
    if len(targets) != 1 or not isinstance(targets[0], ast.Name) or not isinstance(value, ast.Call):
        return None
    name, made = targets[0].id, _called(value.func)
    if made in _ASGI_CLASSES:
        return name, "ASGI", 8 + _named(name)
    for package in _AGENT_CLASSES.get(made, ()):
        if _uses(imported, package):
            return name, FRAMEWORKS[package], 9 + _named(name)
    if made == "compile" and _uses(imported, "langgraph"):
        return name, "langgraph", 9 + _named(name)
    return None


def _called(function: ast.expr) -> str:
    """The last name of what is called: `fastapi.FastAPI` -> `FastAPI`, `Agent[int]` -> `Agent`."""
    if isinstance(function, ast.Subscript):
        return _called(function.value)
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _named(name: str) -> int:
    return len(_NAMES) - _NAMES.index(name) if name in _NAMES else 0


def _yields(node: ast.AsyncFunctionDef | ast.FunctionDef) -> bool:
    return any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _uses(imported: list[str], package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in imported)


def _models(tree: ast.Module) -> Iterator[str]:
    """Texts that are given as `model=` or assigned to a name that ends in MODEL."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="model", value=value):
                yield from _text(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.lower().endswith("model"):
                yield from _text(value)


def _named_models(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Provider and name of models whose text names both."""
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and (found := NAMED.fullmatch(text)):
            yield "gemini" if found[1] == "google" else found[1], found[2]


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value.rpartition(":")[2]


# -- Files beside the sources -----------------------------------------------------------------------------


def _declared_name(root: Path) -> str | None:
    try:
        document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    name = document.get("project", {}).get("name")
    return name if isinstance(name, str) else None


def _servers(root: Path) -> tuple[tuple[Server, ...], tuple[str, ...]]:
    """The servers of `.mcp.json`, and in words those that agent.toml cannot say yet."""
    try:
        listed = json.loads((root / ".mcp.json").read_text(encoding="utf-8"))["mcpServers"]
        entries = {label(name): entry for name, entry in listed.items() if isinstance(entry, dict)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return (), ()
    found = {name: _server(name, entry) for name, entry in entries.items()}
    skipped = [f"{n} in .mcp.json ({entries[n].get('command')})" for n, server in found.items() if not server]
    return tuple(s for s in found.values() if s), tuple(skipped)


def _server(name: str, entry: dict[str, Any]) -> Server | None:
    arguments = [str(a) for a in entry.get("args", [])]
    if isinstance(entry.get("url"), str):
        return Server(name, url=entry["url"])
    while arguments and arguments[0] in ("-y", "--yes"):
        arguments = arguments[1:]
    if not arguments or arguments[0].startswith("-"):
        return None
    package, rest = arguments[0], tuple(arguments[1:])
    runs = {"uvx": f"pypi:{package.replace('@', '==')}", "npx": f"npm:{package}"}
    run = runs.get(str(entry.get("command")))
    return Server(name, run=run, args=rest) if run else None
