"""The files of a project and its revision, as git knows them, else as they are on disk.

In: a directory. Out: a Tree: sorted relative paths, nothing read yet; SpecError when the directory is in a
git work tree that cannot be asked, because then nobody knows which files are ignored on purpose.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.spec.dockerignore import NAME, read_ignore
from shipway_runtime.contract import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER = frozenset(
    {
        *(".git", ".hg", ".svn", ".shipway", ".venv", "venv", "node_modules", "__pycache__", ".DS_Store"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".tox", ".nox", ".idea", ".vscode"),
    }
)
"""Names that are nobody's source, wherever they stand."""


@dataclass(frozen=True, slots=True)
class Tree:
    """`paths` are relative to `root`, with /; links are not followed.

    `ignored` are those that .dockerignore keeps out, which git does not.
    """

    root: Path
    paths: tuple[str, ...]
    source: Source
    by_git: bool
    ignored: tuple[str, ...] = ()


def read_tree(root: Path) -> Tree:
    """The tracked files and those that git does not ignore; all of them where there is no work tree.

    Without those that .dockerignore keeps out: whoever wrote it does not want them in images.
    """
    tree, ignore = _read(root), read_ignore(root)
    ignored = tuple(path for path in tree.paths if path != NAME and ignore.has(path))
    kept = tuple(path for path in tree.paths if not ignore.has(path))
    return replace(tree, paths=kept, ignored=ignored)


def _read(root: Path) -> Tree:
    status = _git(root, "status", "--porcelain=v2", "--branch", "-z", "--", ".", ":(exclude).shipway")
    if status is None:
        return Tree(root, tuple(sorted(walk(root, root))), Source(None, False), by_git=False)
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard") or b""
    found: set[str] = set()
    for name in filter(None, os.fsdecode(listed).split("\0")):
        path = root / name
        if path.is_symlink() or path.is_file():
            found.add(name)
        elif path.is_dir():  # a submodule
            found.update(walk(root, path))
    kept = (path for path in found if not is_noise(path))
    return Tree(root, tuple(sorted(kept)), _source(os.fsdecode(status)), by_git=True)


def walk(root: Path, start: Path) -> Iterator[str]:
    """Every file and link below `start`, relative to `root`, without noise and virtual environments."""
    for directory, names, files in os.walk(start):
        here = Path(directory)
        links = [name for name in names if (here / name).is_symlink()]
        names[:] = [n for n in names if n not in NEVER and n not in links and not _is_venv(here / n)]
        for name in (*files, *links):
            path = (here / name).relative_to(root).as_posix()
            if not is_noise(path):
                yield path


def is_noise(path: str) -> bool:
    """Whether a path is of what tools leave behind."""
    return path.endswith((".pyc", ".pyo")) or not NEVER.isdisjoint(path.split("/"))


def _is_venv(path: Path) -> bool:
    return (path / "pyvenv.cfg").exists()


def _source(status: str) -> Source:
    """The revision and whether anything differs from it, from `git status --porcelain=v2 --branch`."""
    lines = [line for line in status.split("\0") if line]
    revision = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    dirty = any(not line.startswith("# ") for line in lines)
    return Source(None if revision == "(initial)" else revision, dirty)


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git answers; None outside of a work tree. Raises SpecError when git cannot say."""
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ("git", *arguments), cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True
        )
    except FileNotFoundError:
        if not any((directory / ".git").exists() for directory in (root, *root.parents)):
            return None
        raise SpecError([_unanswered("there is no `git` on PATH", "install git")]) from None
    if done.returncode == 0:
        return done.stdout
    said = os.fsdecode(done.stderr).strip()
    if "not a git repository (or any" in said:
        return None
    first = said.splitlines()[0] if said else f"exit code {done.returncode}"
    fix = f"git config --global --add safe.directory {root}" if "dubious ownership" in said else ""
    raise SpecError([_unanswered(first, f"run `{fix}`" if fix else "make `git status` work here")])


def _unanswered(reason: str, fix: str) -> Finding:
    message = f"the project is in a git work tree, and git does not say which files are ignored: {reason}"
    return Finding("git", message, fix)
