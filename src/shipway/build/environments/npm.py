"""npm packages -> what a lock says of them, then the tree of an MCP server that runs on Node.

In: a package with or without a version. Out: every package that it comes to, with npm's integrity hashes and
without any address: npm's own settings say where they are. Then a directory with `node_modules`, `main` (the
package's program) and `bin/node`. No package's script runs.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shipway.build.answers import FRESH_S, answer
from shipway.build.cache import digest_of
from shipway.build.environments.finishing import finish_server
from shipway.build.interruption import run
from shipway.errors import BuildError, ResolveError, TamperedError, UnreachableError
from shipway.plan.servers import npm_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shipway.build.cache import Cache
    from shipway.build.environments.node import Node

Packages = Mapping[str, Mapping[str, Any]]
"""Path below the server, such as `node_modules/which` -> what npm's lock says of it."""

CPUS = {"linux/amd64": "x64", "linux/arm64": "arm64"}

_FIELDS = (
    *("name", "version", "integrity", "inBundle", "bundleDependencies", "bin", "os", "cpu", "libc"),
    *("dependencies", "optionalDependencies", "peerDependencies", "peerDependenciesMeta"),
    *("optional", "dev", "peer", "devOptional", "hasInstallScript", "hasShrinkwrap"),
)
"""What `npm ci` reads of its lock; the rest is for people, and has addresses in it."""

_SETTINGS = {
    "omit-lockfile-registry-resolved": "true",
    "save-exact": "true",
    "ignore-scripts": "true",
    "install-strategy": "hoisted",
    "bin-links": "true",
    "legacy-peer-deps": "false",
    "omit": "dev",
    "audit": "false",
    "fund": "false",
    "update-notifier": "false",
    "loglevel": "error",
}
"""Whatever a user's .npmrc says, as they change the tree. Where packages are is the user's to say."""

_PACKAGE = re.compile(r"(@[\w.~-]+/)?[\w.~][\w.~-]*(@[^/:]+)?")


def resolve(
    package: str,
    node: Node,
    cache: Cache,
    say: Callable[[str], None],
    previous: Packages | None = None,
    fresh_s: float = FRESH_S,
) -> Packages:
    """What the package comes to today; versions of `previous` are kept where they still do.

    An answer that is younger than `fresh_s` seconds counts as today's. Raises ResolveError,
    UnreachableError; falls back to an older answer, and says so, when no registry answers.
    """
    if not _PACKAGE.fullmatch(package):
        raise ResolveError(
            f"npm:{package} is not the name of a package; expected NAME or NAME@VERSION",
            "publish it to a registry; addresses and directories are not installed into images",
        )
    settings = {name: value for name, value in os.environ.items() if name.lower().startswith("npm_config_")}
    key = digest_of(package, previous and dict(previous), settings)

    def ask() -> str:
        with cache.working() as directory:
            _write(_previous_files(package, previous or {}), directory)
            _run(node, directory, f"resolve {package}", "install", "--package-lock-only", package)
            return json.dumps(_packages((directory / "package-lock.json").read_text()))

    kept = cache.directory("resolved") / f"npm-{key}.json"
    found: Packages = json.loads(answer(kept, ask, f"npm:{package}", cache, say, fresh_s))
    return _checked(found)


def install(
    package: str, packages: Packages, tree: Path, platform: str | None, node: Node, link: str, libc: str = ""
) -> None:
    """Fill `tree` from what was locked, for a platform or for this host. npm checks every archive's hash.

    `node` runs npm here; `link` is where `bin/node` of the tree leads. Raises ResolveError when the package
    has no program to run, or several and none by its name.
    """
    tree.mkdir(parents=True)
    _write(project_files(package, packages, platform, libc), tree)
    _run(node, tree, f"install {package}", "ci", "--ignore-scripts")
    if there := finish_server(tree, npm_name(package), link):
        programs = ", ".join(filter(None, there)) or "none"
        raise ResolveError(f"npm:{npm_name(package)} has no program by its name; its programs: {programs}")


def project_files(package: str, packages: Packages, platform: str | None, libc: str = "") -> dict[str, str]:
    """What `npm ci` reads, by name: the same on this host and in a Dockerfile. Raises ResolveError.

    `libc` is that of the platform's image, "glibc 2.41".
    """
    name = npm_name(package)
    if f"node_modules/{name}" not in packages:
        raise ResolveError(f"{name} is not among its own packages in shipway.lock", "run `shipway lock`")
    return _project(
        {name: packages[f"node_modules/{name}"]["version"]}, _checked(packages), _target(platform, libc)
    )


def versions(packages: Packages) -> dict[str, str]:
    """`name in its place` -> version and integrity: what a tree made from these depends on."""
    return {
        path.removeprefix("node_modules/"): f"{entry['version']}, {entry.get('integrity', '')[:24]}"
        for path, entry in packages.items()
    }


def digests(packages: Packages) -> dict[str, str]:
    """`sha512:…` (hex) of each package's archive, by its path below the server."""
    found = {path: re.search(r"sha512-(\S+)", entry.get("integrity", "")) for path, entry in packages.items()}
    return {path: f"sha512:{base64.b64decode(match[1]).hex()}" for path, match in found.items() if match}


def _previous_files(package: str, packages: Packages) -> dict[str, str]:
    """A project in which the package is installed already, as it was; or nothing is."""
    if f"node_modules/{npm_name(package)}" in packages:
        return project_files(package, packages, None)
    return _project({}, {}, {})


def _project(
    dependencies: Mapping[str, str], packages: Packages, target: Mapping[str, str]
) -> dict[str, str]:
    own = {"name": "server", "version": "0.0.0", "dependencies": dependencies}
    head = {"name": "server", "version": "0.0.0", "lockfileVersion": 3, "requires": True}
    return {
        "package.json": json.dumps(own | {"private": True}, indent=1) + "\n",
        "package-lock.json": json.dumps(head | {"packages": {"": own, **packages}}, indent=1) + "\n",
        ".npmrc": "".join(f"{key}={value}\n" for key, value in (_SETTINGS | dict(target)).items()),
    }


def _target(platform: str | None, libc: str) -> dict[str, str]:
    """npm's words for a platform; none for the one that it runs on."""
    return {"os": "linux", "cpu": CPUS[platform], "libc": libc.partition(" ")[0]} if platform else {}


def _packages(lock_text: str) -> dict[str, dict[str, Any]]:
    """npm's lock, reduced; an entry that comes from no registry keeps its address, and is refused."""
    entries: dict[str, dict[str, Any]] = json.loads(lock_text)["packages"]
    for path, entry in entries.items():
        if "resolved" in entry or "link" in entry:
            address = re.sub(r"(?<=://)[^/@\s]*@", "", str(entry.get("resolved")))
            raise ResolveError(
                f"{path.rpartition('node_modules/')[2]} is not from a registry: {address} is not installed "
                "into images",
                "publish it to a registry, or choose another version of the server",
            )
    return {
        path: {key: entry[key] for key in _FIELDS if key in entry} for path, entry in entries.items() if path
    }


def _checked(packages: Packages) -> Packages:
    """What comes without a hash of its own comes inside the archive of another package."""
    for path, entry in packages.items():
        if not entry.get("integrity") and not entry.get("inBundle"):
            raise ResolveError(f"{path} has no integrity hash in npm's lock", "run `shipway lock --upgrade`")
    return packages


def _write(files: Mapping[str, str], directory: Path) -> None:
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def _run(node: Node, directory: Path, purpose: str, *arguments: str) -> None:
    """Run npm in a directory with files of ours; the environment does not override what they say."""
    ours = {f"npm_config_{name.replace('-', '_')}" for name in _SETTINGS}
    environ = {name: value for name, value in os.environ.items() if name.lower() not in ours}
    command = (str(node.binary), str(node.npm), *arguments)
    done = run(command, directory, environ)
    if done.returncode:
        raise _error(done.stderr, purpose)


def _error(stderr: str, purpose: str) -> BuildError:
    lines = [f"    {line}" for line in stderr.splitlines() if line.startswith("npm error")]
    said = "\n".join(lines)[:2000]
    if "EINTEGRITY" in said:
        return TamperedError(f"cannot {purpose}: an archive is not what the lock says\n{said}")
    if re.search(r"ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET", said):
        return UnreachableError(
            f"cannot {purpose}: the npm registry did not answer\n{said}", "check the network and .npmrc"
        )
    if re.search(r"E404|ETARGET|ENOVERSIONS", said):
        return ResolveError(f"cannot {purpose}: no such package or version\n{said}")
    return BuildError(f"cannot {purpose}\n{said or stderr[-500:]}")
