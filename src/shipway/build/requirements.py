"""What an environment needs -> exact versions with hashes.

In: the plan's environment and the project's lock file. Out: the text of a requirements file in which every
line is `name==version` with hashes. uv resolves; what the project's own lock pins by hash stays pinned by
that hash, whatever an index answers. Answers are kept in the cache for a day, and longer while no index can
be reached.
"""

from __future__ import annotations

import importlib.metadata
import re
import time
import tomllib
from typing import TYPE_CHECKING

from packaging.pylock import Pylock
from packaging.requirements import Requirement

from shipway.build.cache import digest_of
from shipway.build.uv import run_uv
from shipway.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shipway.build.cache import Cache
    from shipway.plan.image import Environment

FRESH_S = 86_400
"""How long an answer of an index counts as today's."""

UV_PLATFORMS = {"linux/amd64": "x86_64-manylinux_2_40", "linux/arm64": "aarch64-manylinux_2_40"}
"""The nearest that uv has to Debian 13's glibc 2.41."""


def target_options(python: str, platform: str) -> tuple[str, ...]:
    """uv's options for the image's Python and platform, whatever the host is."""
    return (
        *("--python-version", python),
        *("--python-platform", UV_PLATFORMS[platform]),
        *("--only-binary", ":all:"),
    )


def resolve(
    environment: Environment, root: Path, options: Sequence[str], cache: Cache, say: Callable[[str], None]
) -> str:
    """Every distribution of the environment as `name==version --hash=…` lines.

    Raises ResolveError, UnreachableError and TamperedError; falls back to an older answer, and says so,
    when the index does not answer.
    """
    wanted = _wanted(environment, root)
    if not wanted.strip():
        return ""
    kept = cache.directory("resolved") / f"{digest_of(wanted, list(options))}.txt"
    age = time.time() - kept.stat().st_mtime if kept.exists() else None
    if age is not None and age < FRESH_S:
        return kept.read_text()
    try:
        pins = _with_hashes_of(wanted, _compile(wanted, environment, options, cache))
    except UnreachableError:
        if age is None:
            raise
        say(f"no index answers: {environment.name} as resolved {age / 3600:.0f} hours ago")
        return kept.read_text()
    cache.write_text(kept, pins)
    return pins


def runtime_requirements() -> list[str]:
    """What shipway-runtime needs, from the metadata of the installed one."""
    return [r for r in importlib.metadata.requires("shipway-runtime") or [] if "extra ==" not in r]


def _wanted(environment: Environment, root: Path) -> str:
    lines = list(environment.requirements)
    if environment.lock:
        lines.append(locked(root, environment.lock, environment.groups, environment.extras))
    if environment.runtime:
        lines += runtime_requirements()
    return "\n".join(lines)


def locked(root: Path, lock: str, groups: Sequence[str], extras: Sequence[str]) -> str:
    """The project's lock file in the form of requirements.txt."""
    path = root / lock
    chosen = [*(a for g in groups for a in ("--group", g)), *(a for e in extras for a in ("--extra", e))]
    match path.name:
        case "uv.lock":
            fixed = ("--frozen", "--no-emit-project", "--no-default-groups", "--no-header", "--no-annotate")
            return run_uv(("export", *fixed, *chosen), "read uv.lock", cwd=path.parent)
        case "pyproject.toml":
            return _declared(path, groups, extras)
        case "requirements.txt":
            return _included(path)
        case _:
            return _pylock(path)


def _included(path: Path) -> str:
    """A requirements file with those that it includes in their place, and constraints by full path."""
    lines = []
    for line in path.read_text().splitlines():
        match = re.match(r"\s*(-r|--requirement|-c|--constraint)[= ]\s*(\S+)", line)
        if not match:
            lines.append(line)
        elif match[1] in ("-r", "--requirement"):
            lines.append(_included(path.parent / match[2]))
        else:
            lines.append(f"-c {(path.parent / match[2]).resolve()}")
    return "\n".join(lines)


def _declared(path: Path, groups: Sequence[str], extras: Sequence[str]) -> str:
    document = tomllib.loads(path.read_text())
    project = document.get("project", {})
    optional, named = project.get("optional-dependencies", {}), document.get("dependency-groups", {})
    lists = [project.get("dependencies", []), *(optional.get(e, []) for e in extras)]
    lists += [[r for r in named.get(g, []) if isinstance(r, str)] for g in groups]
    return "\n".join(requirement for found in lists for requirement in found)


def _pylock(path: Path) -> str:
    lines = []
    for package in Pylock.from_dict(tomllib.loads(path.read_text())).packages:
        hashes = [f"--hash={name}:{value}" for w in package.wheels or () for name, value in w.hashes.items()]
        marker = f" ; {package.marker}" if package.marker else ""
        lines.append(" ".join([f"{package.name}=={package.version}{marker}", *hashes]))
    return "\n".join(lines)


def _compile(wanted: str, environment: Environment, options: Sequence[str], cache: Cache) -> str:
    with cache.working() as directory:
        source = directory / "wanted.txt"
        source.write_text(wanted)
        arguments = ("pip", "compile", source.name, *options, "--generate-hashes", "--no-header")
        return run_uv(
            (*arguments, "--no-annotate", "--no-emit-index-url"),
            f"resolve {environment.name}",
            cwd=directory,
        )


def _with_hashes_of(wanted: str, resolved: str) -> str:
    """The resolved lines, each with the hashes that the lock gives where it gives any."""
    known = dict(parse_pins(wanted))
    lines = []
    for requirement, hashes in parse_pins(resolved):
        lines.append(" ".join([requirement, *(known.get(_bare(requirement)) or hashes)]))
    return "\n".join(lines) + "\n"


def parse_pins(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """`name==version` and its `--hash=…` options, for each pinned line of a requirements file."""
    pins = []
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *options = re.split(r"\s+(?=--hash[= ])", line.partition(" #")[0].strip())
        if requirement and not requirement.startswith(("-", "#")) and "==" in requirement:
            pins.append((_bare(requirement), tuple(o.replace("--hash ", "--hash=") for o in options)))
    return pins


def _bare(requirement: str) -> str:
    """The pin without extras and marker, its name as indexes spell it."""
    parsed = Requirement(requirement)
    return f"{parsed.name.lower().replace('_', '-').replace('.', '-')}{parsed.specifier}"
