"""Which files of the project a module needs, by what it and they import. Nothing of it is run.

In: a module of the project, its paths, its files. Out: paths. What is imported by a name that is only known
at run time is not seen.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from shipway.spec.entrypoint import Entrypoint


def closure(root: Path, entry: Entrypoint, paths: Collection[str]) -> frozenset[str]:
    """The file of `entry`, and what it imports below the same source root, packages' own files included."""
    base = f"{entry.source_root}/" if entry.source_root else ""
    there = frozenset(paths)
    known: set[str] = set()
    wanted = list(_files(entry.module, base, there))
    while wanted:
        path = wanted.pop()
        if path in known:
            continue
        known.add(path)
        for module in _imported(_read(root / path), _package(path.removeprefix(base))):
            wanted += _files(module, base, there)
    return frozenset(known)


def _files(module: str, base: str, there: frozenset[str]) -> Iterator[str]:
    """The files of a module, as far as there are any: `a/__init__.py` and `a/b.py` for `a.b`."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        stem = base + "/".join(parts[:count])
        yield from (path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in there)


def _package(path: str) -> list[str]:
    """The package that a file's relative imports begin in."""
    return path.split("/")[:-1]


def _read(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8", errors="replace"))
    except (OSError, SyntaxError, ValueError):  # a finding of its own, or the image's Python is newer
        return ast.Module([], [])


def _imported(tree: ast.Module, package: list[str]) -> Iterator[str]:
    """Every module that may be meant: what is imported from a module can be one itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
