"""The virtual environments of a local stack, made by uv and used again while nothing changed.

In: the plan's environments and the project's lock. Out: directories below .shipway. The agent's holds what
its lock says and the installed shipway-runtime, resolved together; each MCP server has its own. A stamp in
the directory says what it was made from.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.cache import Cache, default_root, digest_of
from shipway.build.environments import node, npm
from shipway.build.environments.environment import require_script
from shipway.build.environments.requirements import locked, resolve, runtime_requirements
from shipway.build.environments.runtime_wheel import runtime_wheel
from shipway.build.environments.uv import run_uv
from shipway.errors import BuildError, UnreachableError
from shipway.plan.image import NODE, PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shipway.local.plan import Environment, LocalPlan

_STAMP = "shipway.stamp"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the agent's dependencies are declared: a file below `root`, or nowhere; and which extras of the
    runtime it needs."""

    root: Path
    lock: str | None
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    runtime_extras: tuple[str, ...] = ()

    def requirements(self) -> str:
        own = locked(self.root, self.lock, self.groups, self.extras) if self.lock else ""
        added = runtime_requirements(self.runtime_extras) if self.runtime_extras else ()
        return "\n".join((own, *added))


def prepare(plan: LocalPlan, sources: Sources, source: Path, say: Callable[[str], None]) -> None:
    """Make every environment that is missing or stale.

    `source` is what the agent's environment imports the project from. Raises ResolveError, TamperedError
    and UnreachableError, which says what is not in uv's cache either.
    """
    python = find_python(say)
    for environment in plan.environments:
        if environment.kind == "npm":
            _make_npm(environment, sources.root, say)
            continue
        own = environment.requirement is None
        wanted = environment.requirement or sources.requirements()
        wheels = [str(runtime_wheel(default_root()))] if own else []
        _make(environment, python, wanted, wheels, sources.root, say)
    _import_from(Path(plan.environments[0].path), source)


def find_python(say: Callable[[str], None]) -> str:
    """Python of the image's version when this machine has one, else the one that runs shipway."""
    try:
        options = ("--system", "--no-project", "--no-python-downloads")
        return run_uv(("python", "find", *options, PYTHON), "find Python").strip()
    except BuildError:
        own = ".".join(map(str, sys.version_info[:2]))
        say(f"Python {PYTHON}, which images have, is not on this machine: running on Python {own}")
        return sys.executable


def _make(
    environment: Environment,
    python: str,
    wanted: str,
    wheels: Sequence[str],
    root: Path,
    say: Callable[[str], None],
) -> None:
    path = Path(environment.path)
    stamp = digest_of(python, wanted, list(wheels), environment.script)
    if _read(path / _STAMP) == stamp:
        return
    say(f"{environment.name}: installing")
    began = time.monotonic()
    run_uv(("venv", "--clear", "--no-project", "--python", python, str(path)), f"make {path}")
    _install(environment, path, wanted, wheels, root, say)
    if environment.script and environment.requirement:
        require_script(path, str(path), environment.script, environment.requirement)
    (path / _STAMP).write_text(stamp)
    count = len(list(path.glob("lib/*/site-packages/*.dist-info")))
    say(f"{environment.name}: {count} distributions in {time.monotonic() - began:.1f} s")


def _make_npm(environment: Environment, root: Path, say: Callable[[str], None]) -> None:
    """`main` and `bin/node`, as in the image; Node and npm come from a wheel."""
    cache, path, package = Cache(default_root()), Path(environment.path), environment.requirement or ""
    host = node.provide_here(resolve(NODE, root, (), cache, say), root, cache, say)
    packages = npm.resolve(package, host, cache, say)
    stamp = digest_of(packages, host.version)
    if _read(path / _STAMP) == stamp:
        return
    say(f"{environment.name}: installing {len(packages)} npm packages")
    shutil.rmtree(path, ignore_errors=True)
    npm.install(package, packages, path, None, host, str(host.binary))
    (path / _STAMP).write_text(stamp)


def _install(
    environment: Environment,
    path: Path,
    wanted: str,
    wheels: Sequence[str],
    root: Path,
    say: Callable[[str], None],
) -> None:
    requirements = path / "requirements.txt"
    requirements.write_text(wanted + "\n")
    command = ("pip", "install", "--python", str(path / "bin/python"), "--requirements", str(requirements))
    purpose = f"install the environment of {environment.name}"
    try:
        run_uv((*command, *wheels), purpose, cwd=root)
    except UnreachableError as error:
        say(f"{environment.name}: no index answers, trying with what uv has cached")
        try:
            run_uv((*command, *wheels, "--offline"), purpose, cwd=root)
        except BuildError as uncached:
            message = f"{error}\n  and uv's cache does not have all of it: {uncached}"
            raise UnreachableError(message, error.hint) from None


def _import_from(environment: Path, source: Path) -> None:
    """Let every Python of the agent's environment import the project, `project:` MCP servers too."""
    for packages in environment.glob("lib/*/site-packages"):
        (packages / "_shipway_project.pth").write_text(f"{source}\n")


def _read(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None
