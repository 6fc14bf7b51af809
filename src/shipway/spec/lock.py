"""Where a project says what it depends on -> Lock.

In: the project's directory. Out: the first there is of uv.lock (also of the uv workspace that the project
is a member of), pylock.toml, requirements.txt and pyproject.toml, with a digest that changes when the
dependencies may have. Nothing is resolved here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name

from shipway.errors import Finding, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.requirements import Requirement

Kind = Literal["uv.lock", "pylock.toml", "requirements.txt", "pyproject.toml", "none"]
KINDS: tuple[Kind, ...] = ("uv.lock", "pylock.toml", "requirements.txt", "pyproject.toml")
PYTHON = "3.13"  # of the base `minimal`, Debian 13's
_RESOLVING = ("sources", "constraint-dependencies", "override-dependencies", "prerelease", "resolution")
"""What [tool.uv] says of versions; where indexes are is not part of it."""
_INCLUDE = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[= ]\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Lock:
    """`path` is relative to the project, empty when it depends on nothing that it says; it leads upwards
    to the uv.lock of a workspace."""

    kind: Kind
    path: str
    digest: str | None
    """sha256:…; of pyproject.toml over its dependencies alone, so that a new version changes nothing."""
    requires_python: str | None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A uv workspace: projects that are locked together. `members` are directories, the root among them."""

    root: Path
    members: tuple[Path, ...]


def workspace_of(project_root: Path) -> Workspace | None:
    """The uv workspace that a project belongs to."""
    project = project_root.resolve()
    for root in (project, *project.parents):
        table = _toml(root / "pyproject.toml").get("tool", {}).get("uv", {}).get("workspace")
        if isinstance(table, dict):
            members = {root, *(p for g in table.get("members", ()) for p in root.glob(g) if p.is_dir())}
            members -= {p for g in table.get("exclude", ()) for p in root.glob(g)}
            if project in members:
                return Workspace(root, tuple(sorted(members)))
    return None


def read_lock(project_root: Path, python: str | None = PYTHON) -> Lock:
    """The project's source of dependencies. Raises SpecError when it cannot be used for the image.

    `python` is the image's, None while its base was not looked at: `check_python` tells then.
    """
    project = _toml(project_root / "pyproject.toml")
    kind, path = _chosen(project_root, project)
    lock = _toml(project_root / path) if kind in ("uv.lock", "pylock.toml") else {}
    required = project.get("project", {}).get("requires-python") or lock.get("requires-python")
    findings = [
        *_python_findings(required, kind, project, python),
        *_dynamic_findings(kind, project),
        *_foreign_findings(project_root, kind, project),
        *(_stale_findings(lock, project) if kind == "uv.lock" else ()),
    ]
    if findings:
        raise SpecError(findings)
    return Lock(kind, path, _digest(project_root, kind, path, project), required)


def check_python(lock: Lock, python: str) -> None:
    """Raise SpecError when the project does not run on this Python, "3.12"."""
    if findings := _python_findings(lock.requires_python, lock.kind, {}, python):
        raise SpecError(findings)


def _chosen(root: Path, pyproject: dict[str, Any]) -> tuple[Kind, str]:
    """The kind, and the path of the file."""
    there = [kind for kind in KINDS if (root / kind).is_file()]
    if "uv.lock" not in there and "project" in pyproject and (workspace := workspace_of(root)):
        above = workspace.root / "uv.lock"
        if above.is_file():
            return "uv.lock", os.path.relpath(above, root.resolve())
    if not there or (
        there == ["pyproject.toml"] and not ("project" in pyproject or "dependency-groups" in pyproject)
    ):
        return "none", ""  # nothing, or a file for tools alone
    return there[0], there[0]


def _digest(root: Path, kind: Kind, path: str, pyproject: dict[str, Any]) -> str | None:
    if kind == "none":
        return None
    digest = hashlib.sha256()
    if kind == "pyproject.toml":
        project, uv = pyproject.get("project", {}), pyproject.get("tool", {}).get("uv", {})
        relevant = {key: project.get(key) for key in ("dependencies", "optional-dependencies")}
        relevant["dependency-groups"] = pyproject.get("dependency-groups")
        relevant |= {key: value for key in _RESOLVING if (value := uv.get(key)) is not None}
        digest.update(json.dumps(relevant, sort_keys=True).encode())
    else:
        for file in _files(root / path, ()) if kind == "requirements.txt" else (root / path,):
            digest.update(file.read_bytes() + b"\0")
    return f"sha256:{digest.hexdigest()}"


def _files(path: Path, seen: tuple[Path, ...]) -> tuple[Path, ...]:
    """A requirements file and those that it includes, each once."""
    if path in seen:
        return seen
    if not path.is_file():
        by = seen[-1].name
        fix = f"correct the line of {by} that begins with -r or -c"
        raise SpecError([Finding("lock", f"it includes {path.name}, which is not there", fix, by)])
    seen = (*seen, path)
    for match in filter(None, map(_INCLUDE.match, path.read_text(encoding="utf-8").splitlines())):
        seen = _files(path.parent / match[1], seen)
    return seen


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        fix = "make it again with `uv lock`" if path.name == "uv.lock" else "correct the file"
        raise SpecError([Finding("lock", f"this file cannot be read: {error}", fix, path.name)]) from None


def _python_findings(python: Any, kind: Kind, project: dict[str, Any], image: str | None) -> list[Finding]:
    if python is None:
        return []
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # 6 ms, where a range is given

    file = "pyproject.toml" if project.get("project", {}).get("requires-python") else kind
    try:
        allowed = SpecifierSet(python)
    except (InvalidSpecifier, TypeError, AttributeError):
        fix = f'write a range such as requires-python = ">={PYTHON}"'
        return [Finding("python-version", f'requires-python = "{python}" is no range of versions', fix, file)]
    if image is None or any(allowed.contains(f"{image}.{patch}") for patch in range(50)):
        return []
    message = f'requires-python = "{python}" excludes {image}, which is the Python of the image'
    return [Finding("python-version", message, f"widen it to include {image}, and lock again", file)]


def _dynamic_findings(kind: Kind, project: dict[str, Any]) -> list[Finding]:
    if kind != "pyproject.toml" or "dependencies" not in project.get("project", {}).get("dynamic", ()):
        return []
    message = "the dependencies are dynamic: the build backend would have to run to say them"
    fix = "lock them with `uv lock`, or write them into [project]"
    return [Finding("lock", message, fix, "pyproject.toml")]


def _foreign_findings(root: Path, kind: Kind, project: dict[str, Any]) -> list[Finding]:
    """Dependencies that only another tool can read: an image without them would fail at its first import."""
    if kind != "none":
        return []
    poetry = project.get("tool", {}).get("poetry", {}).get("dependencies")
    if poetry:
        file, where, how = "pyproject.toml", "[tool.poetry]", "run `poetry export -o requirements.txt`"
    elif (root / "Pipfile").is_file():
        file, where, how = "Pipfile", "a Pipfile", "run `pipenv requirements --hash > requirements.txt`"
    elif (root / "environment.yml").is_file():
        file, where, how = "environment.yml", "a conda environment", "write them into requirements.txt"
    else:
        return []
    message = f"the dependencies are in {where}, which is not read"
    return [Finding("lock", message, f"move them to [project] in pyproject.toml, or {how}", file)]


def _stale_findings(lock: dict[str, Any], pyproject: dict[str, Any]) -> list[Finding]:
    """What pyproject.toml requires otherwise than uv.lock knows: uv would install what is locked, unasked."""
    name = canonicalize_name(str(pyproject.get("project", {}).get("name", "")))
    own = next((p for p in lock.get("package", ()) if canonicalize_name(str(p.get("name"))) == name), None)
    if own is None:
        return []
    metadata = own.get("metadata", {})
    groups = metadata.get("requires-dev", {}).values()
    known = [*metadata.get("requires-dist", ()), *(entry for group in groups for entry in group)]
    moved = sorted({str(r) for r in _required(pyproject) if r.name != name and not _is_known(r, known)})
    if not moved:
        return []
    message = f"it is older than pyproject.toml, which requires {', '.join(moved)}"
    return [Finding("lock", message, "run `uv lock`", "uv.lock")]


def _required(pyproject: dict[str, Any]) -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement  # only beside a uv.lock

    project = pyproject.get("project", {})
    tables = (project.get("optional-dependencies", {}), pyproject.get("dependency-groups", {}))
    texts = [*project.get("dependencies", ()), *(t for table in tables for g in table.values() for t in g)]
    for text in texts:
        with suppress(InvalidRequirement, TypeError):  # uv says what is wrong with it
            yield Requirement(text)


def _is_known(required: Requirement, known: Sequence[dict[str, Any]]) -> bool:
    """A name with the same range; one that comes from a directory or a URL has none."""
    from packaging.specifiers import SpecifierSet

    name = canonicalize_name(required.name)
    entries = [entry for entry in known if canonicalize_name(str(entry.get("name"))) == name]
    return any(
        not entry.keys().isdisjoint(("directory", "editable", "virtual", "path", "url", "git"))
        or SpecifierSet(str(entry.get("specifier", ""))) == required.specifier
        for entry in entries
    )
