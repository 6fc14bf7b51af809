"""What a project says it depends on -> the text of a requirements file.

In: the project's directory and its lock, of any of the four kinds. Out: requirements as pip and uv read
them; every directory of the project is `NAME @ file:///…`, and the project itself is replaced by what it
depends on, as its own code is not installed. Nothing is resolved and no index is asked here.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from shipway.build.environments.uv import run_uv
from shipway.errors import ResolveError
from shipway.spec.lock import workspace_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from packaging.markers import Marker
    from packaging.pylock import Package

_MACHINES = ("x86_64", "aarch64")
_OTHER_FILE = re.compile(r"\s*(-r|--requirement|-c|--constraint)[= ]\s*(\S+)")
_INDEX = re.compile(r"\s*(-i|--index-url|--extra-index-url|-f|--find-links|--no-index)\b")
_LOCAL = re.compile(
    r"(?:-e\s+|--editable[= ]\s*)?"
    r"(?:(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<its>\[[^\]]*\])?\s*@\s*)?"
    r"(?P<place>(?:file:|\.|/|[\w.-]+/)[^\s;\[]*)(?P<extras>\[[^\]]*\])?(?P<rest>(?:\s+;.*)?)"
)


def locked(root: Path, lock: str, groups: Sequence[str], extras: Sequence[str]) -> str:
    """The project's lock file, `lock` below or above `root`, in the form of requirements.txt."""
    path = root / lock
    match path.name:
        case "uv.lock":
            chosen = [
                *(a for g in groups for a in ("--group", g)),
                *(a for e in extras for a in ("--extra", e)),
            ]
            fixed = (
                "--frozen",
                "--no-emit-project",
                "--no-editable",
                "--no-default-groups",
                "--no-python-downloads",
            )
            plain = ("--no-header", "--no-annotate")
            text = run_uv(("export", *fixed, *plain, *chosen), "read uv.lock", cwd=root)
            return _settled(text.splitlines(), path.parent, root)
        case "pyproject.toml":
            return "\n".join(declared(root, groups, extras))
        case "requirements.txt":
            refuse_choice("requirements.txt", groups, extras)
            return _included(path, root)
        case _:
            return "\n".join(_pylock(path, groups, extras))


def refuse_choice(where: str, groups: Collection[str], extras: Collection[str]) -> None:
    """Raise ResolveError for groups and extras of agent.toml that would have no effect."""
    chosen = [*(f"group {name}" for name in sorted(groups)), *(f"extra {name}" for name in sorted(extras))]
    if chosen:
        raise ResolveError(
            f"[image] names the {', '.join(chosen)}, which {where} does not have",
            f"remove it from agent.toml, or make {where} with it",
        )


def index_lines(requirements: str) -> str:
    """The lines of a requirements file that say which indexes there are."""
    return "".join(f"{line}\n" for line in requirements.splitlines() if _INDEX.match(line))


def explicit_indexes(root: Path) -> tuple[str, ...]:
    """uv's options that let pins come from indexes that the project keeps for its [tool.uv.sources].

    uv asks such an index only for what pyproject.toml names, and pins are no pyproject.toml. Their hashes say
    which file it has to be, so any index may serve them.
    """
    workspace = workspace_of(root)
    tables = [
        project_table(place) for place in {root.resolve(), workspace.root if workspace else root.resolve()}
    ]
    found = [index for table in tables for index in table.get("tool", {}).get("uv", {}).get("index", ())]
    named = [f"{i['name']}={i['url']}" for i in found if i.get("explicit") and "name" in i and "url" in i]
    options = [option for index in sorted(named) for option in ("--index", index)]
    return (*options, "--index-strategy", "unsafe-best-match") if options else ()


def indexes_of(root: Path, lock: str | None) -> str:
    """`index_lines` of the project's lock file, where it is one that can have them."""
    if not lock or Path(lock).name != "requirements.txt":
        return ""
    return index_lines(_included(root / lock, root))


def local_of(line: str, base: Path) -> tuple[str, Path] | None:
    """The name and the directory (or wheel) that a line names; None for one that an index has.

    Raises ResolveError when no pyproject.toml says the name.
    """
    match = _LOCAL.fullmatch(line.strip())
    if not match or match["place"].startswith("-"):
        return None
    place = Path(unquote(match["place"].removeprefix("file:").removeprefix("//")))
    path = (base / place).resolve()
    return (canonicalize_name(match["name"]) if match["name"] else _name_of(path)), path


def project_table(root: Path) -> dict[str, Any]:
    """pyproject.toml, empty where there is none."""
    path = root / "pyproject.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _name_of(path: Path) -> str:
    if path.suffix == ".whl":
        return canonicalize_name(path.name.partition("-")[0])
    name = project_table(path).get("project", {}).get("name")
    if not name:
        raise ResolveError(
            f"{path} does not say its name: it has no pyproject.toml with [project] and a name",
            f"write the requirement as NAME @ {path.as_uri()}",
        )
    return canonicalize_name(name)


# -- requirements.txt, and what uv exports ---------------------------------------------------------------


def _included(path: Path, root: Path) -> str:
    """A requirements file with those that it includes in their place, and constraints by full path."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _OTHER_FILE.match(line)
        if not match:
            lines.append(_settled([line], path.parent, root))
        elif match[1] in ("-r", "--requirement"):
            lines.append(_included(path.parent / match[2], root))
        else:
            lines.append(f"-c {(path.parent / match[2]).resolve()}")
    return "\n".join(lines)


def _settled(lines: Sequence[str], base: Path, root: Path) -> str:
    return "\n".join(settled for line in lines for settled in _settle(line, base, root))


def _settle(line: str, base: Path, root: Path) -> Iterator[str]:
    """A line as it is, or with the directory that it names in full."""
    bare = "" if line[:1].isspace() else re.split(r"\s#", line)[0].strip()  # most lines are hashes
    match = _LOCAL.fullmatch(bare)
    if not match:
        yield line
        return
    found = local_of(bare, base)
    assert found is not None
    name, path = found
    extras = match["its"] or match["extras"] or ""
    if path == root.resolve():
        yield from declared(root, (), [e.strip() for e in extras.strip("[]").split(",") if e.strip()])
    else:
        yield f"{name}{extras} @ {path.as_uri()}{match['rest']}"


# -- pyproject.toml --------------------------------------------------------------------------------------


def declared(root: Path, groups: Sequence[str], extras: Sequence[str]) -> list[str]:
    """What pyproject.toml requires, with the directories that [tool.uv.sources] names."""
    document = project_table(root)
    project = document.get("project", {})
    optional: dict[str, Any] = {
        canonicalize_name(e): r for e, r in project.get("optional-dependencies", {}).items()
    }
    found = list(project.get("dependencies", []))
    for extra in extras:
        if canonicalize_name(extra) not in optional:
            raise ResolveError(_unknown("extra", extra, optional), "correct [image] extras")
        found += optional[canonicalize_name(extra)]
    found += _of_groups(document.get("dependency-groups", {}), groups)
    sources = _sources(root, document)
    return [_placed(requirement, sources) for requirement in found]


def _of_groups(named: Mapping[str, Any], groups: Sequence[str]) -> Iterator[str]:
    """The requirements of groups, and of the groups that they include (PEP 735)."""
    from packaging.dependency_groups import resolve_dependency_groups  # only where groups are asked for

    known = {canonicalize_name(name) for name in named}
    for group in groups:
        if canonicalize_name(group) not in known:
            raise ResolveError(_unknown("dependency group", group, named), "correct [image] groups")
        try:
            yield from resolve_dependency_groups(named, group)
        except (ValueError, LookupError, TypeError, ExceptionGroup) as error:
            fix = "correct [dependency-groups] in pyproject.toml"
            raise ResolveError(f"the dependency group {group} cannot be read: {error}", fix) from error


def _unknown(what: str, name: str, there: Mapping[str, Any]) -> str:
    return f"pyproject.toml has no {what} {name}; it has: {', '.join(sorted(there)) or 'none'}"


def _sources(root: Path, document: Mapping[str, Any]) -> dict[str, str]:
    """Directories, archives and repositories by the name of what comes from there instead of an index."""
    workspace = workspace_of(root)
    tables = [(root, document)] if workspace is None or workspace.root == root.resolve() else []
    if workspace:
        tables = [(workspace.root, project_table(workspace.root)), (root, document)]
    found: dict[str, str] = {}
    for base, table in tables:
        for name, source in table.get("tool", {}).get("uv", {}).get("sources", {}).items():
            if isinstance(source, dict) and (place := _place(name, source, base, workspace)):
                found[canonicalize_name(name)] = place
    return found


def _place(name: str, source: Mapping[str, Any], base: Path, workspace: Any) -> str | None:
    if source.get("workspace") and workspace:
        member = next((m for m in workspace.members if _is_named(m, name)), None)
        return member.as_uri() if member else None
    if "path" in source:
        return (base / str(source["path"])).resolve().as_uri()
    if "git" in source:
        at = source.get("rev") or source.get("tag") or source.get("branch")
        return f"git+{source['git']}" + (f"@{at}" if at else "")
    return str(source["url"]) if "url" in source else None


def _is_named(member: Path, name: str) -> bool:
    own = project_table(member).get("project", {}).get("name", "")
    return bool(canonicalize_name(own) == canonicalize_name(name))


def _placed(requirement: str, sources: Mapping[str, str]) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # 15 ms, for this kind of lock alone

    try:
        parsed = Requirement(requirement)
    except InvalidRequirement as error:
        raise ResolveError(f"pyproject.toml: {requirement!r} is no requirement: {error}") from None
    if not (place := sources.get(canonicalize_name(parsed.name))):
        return requirement
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    marker = f" ; {parsed.marker}" if parsed.marker else ""
    return f"{parsed.name}{extras} @ {place}{marker}"


# -- pylock.toml -----------------------------------------------------------------------------------------


def _pylock(path: Path, groups: Sequence[str], extras: Sequence[str]) -> Iterator[str]:
    from packaging.pylock import Pylock, PylockValidationError  # 10 ms, for this kind of lock alone

    try:
        lock = Pylock.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except PylockValidationError as error:
        fix = "make it again, for example by `uv export -o pylock.toml`"
        raise ResolveError(f"pylock.toml is not one (PEP 751): {error}", fix) from None
    refuse_choice(
        "pylock.toml", set(groups) - set(lock.dependency_groups or ()), set(extras) - set(lock.extras or ())
    )
    chosen: dict[str, set[str]] = {
        "extras": {canonicalize_name(extra) for extra in extras},
        "dependency_groups": {canonicalize_name(g) for g in (*groups, *(lock.default_groups or ()))},
    }
    for package in lock.packages:
        where = [m for m in _MACHINES if _applies(package.marker, m, chosen)]
        if where:
            marker = f' ; platform_machine == "{where[0]}"' if len(where) < len(_MACHINES) else ""
            yield _pylock_line(package, path.parent, marker)


def _applies(marker: Marker | None, machine: str, chosen: Mapping[str, set[str]]) -> bool:
    """Whether the image's Python on a machine needs what has this marker."""
    python = {"python_version": "3.13", "python_full_version": "3.13.0", "implementation_version": "3.13.0"}
    names = {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
    }
    system = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine}
    environment: dict[str, str | AbstractSet[str]] = {
        **python,
        **names,
        **system,
        "platform_release": "",
        "platform_version": "",
        **chosen,
    }
    return marker is None or marker.evaluate(environment, context="lock_file")


def _pylock_line(package: Package, base: Path, marker: str) -> str:
    if package.directory:
        return f"{package.name} @ {(base / package.directory.path).resolve().as_uri()}{marker}"
    if package.vcs or package.archive:
        url = package.vcs.url if package.vcs else package.archive.url if package.archive else None
        return f"{package.name} @ {'git+' if package.vcs else ''}{url}{marker}"
    files = [wheel.hashes for wheel in package.wheels or ()] or [
        package.sdist.hashes if package.sdist else {}
    ]
    hashes = [f"--hash={name}:{value}" for file in files for name, value in file.items()]
    return " ".join([f"{package.name}=={package.version}{marker}", *hashes])
