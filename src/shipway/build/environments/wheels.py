"""Pinned distributions -> the layers of a virtual environment.

In: pins, and the environment's place in the image. Out: layers. A heavy wheel has a layer of its own, the
small ones share a few whose members are fixed by their names: what one project installs is found again in
another, and an upgrade moves one layer. A layer's key is its wheels and the layout, so it is made once; uv
installs only what no layer in the cache has.
"""

from __future__ import annotations

import csv
import hashlib
import json
import posixpath
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.build.attachments.attach import expect_change
from shipway.build.cache import digest_of, read_record
from shipway.build.environments.bytecode import bytecode_path, compile_tree
from shipway.build.environments.chosen import chosen_wheels, offered_wheels
from shipway.build.environments.declared import indexes_of
from shipway.build.environments.distributions import Distribution, read_distributions
from shipway.build.environments.environment import (
    finish,
    install,
    install_built,
    require_script,
    site_packages,
    skeleton,
)
from shipway.build.environments.pins import lines_by_name, version_of
from shipway.build.environments.sources import split_built
from shipway.build.layers import Entry, Layer, tree_entries
from shipway.build.toolchain import Toolchain
from shipway.errors import BuildError
from shipway.plan.image import Environment, Python

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path


HEAVY = 2_000_000
"""Bytes unpacked, bytecode included, from which a wheel has a layer of its own."""
MOST_HEAVY = 40
"""Layers for heavy wheels at most: engines take 127 in all, and about 60 is sensible."""
GROUPS = 4
"""Layers for the rest. By a digest of the name, so that no upgrade and no new member moves another."""


@dataclass(frozen=True, slots=True)
class Part:
    """One layer to be: its name, and the distributions in it, sorted."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """One distribution's entries, and the digest of its wheel, empty where that is not known."""

    entries: list[Entry]
    digest: str


def arrange(versions: Mapping[str, str], sizes: Mapping[str, int], rest: str) -> list[Part]:
    """Which distributions share a layer. `versions` and `sizes` (bytes) by name; `rest` names the groups."""
    heaviest = sorted((n for n in versions if sizes[n] >= HEAVY), key=lambda name: (-sizes[name], name))
    heavy = heaviest[:MOST_HEAVY]
    groups: dict[int, list[str]] = {}
    for name in sorted(set(versions) - set(heavy)):
        groups.setdefault(_bucket(name), []).append(name)
    return [
        *(Part(f"{name} {versions[name]}", (name,)) for name in heavy),
        *(Part(f"{rest}, group {i} of {GROUPS}", tuple(groups[i])) for i in sorted(groups)),
    ]


def _bucket(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % GROUPS + 1


def environment_layers(
    environment: Environment, pins: str, tools: Toolchain, *, bare: bool = False
) -> list[Layer]:
    """The layers of one environment, made unless in the cache; `bare` where the base has the venv itself."""
    return _Environment(environment, lines_by_name(pins), tools, bare).layers()


@dataclass(frozen=True, slots=True)
class _Environment:
    environment: Environment
    pins: dict[str, str]
    tools: Toolchain
    bare: bool

    def layers(self) -> list[Layer]:
        known = self._known_sizes() if self.environment.split else {}
        unknown = set(self.pins) - set(known) if self.environment.split else set()
        with self.tools.cache.working() as directory:
            likely = self._parts(known | dict.fromkeys(unknown, 0))  # most wheels are small
            made = self._make(self._unmade(likely) | unknown, directory / "new")
            sizes = known | {name: _size(made[name].entries) for name in unknown}
            self._remember(sizes, unknown)
            parts = self._parts(sizes) if unknown else likely
            made |= self._make(self._unmade(parts) - set(made), directory / "again") if unknown else {}
            with ThreadPoolExecutor() as pool:
                return list(pool.map(lambda part: self._layer(part, made), parts))

    def _parts(self, sizes: Mapping[str, int]) -> list[Part]:
        """The venv itself first; an environment that is not split is one part."""
        if not self.environment.split:
            count = f"{len(self.pins)} distributions"
            return [Part(f"{self.environment.name} ({count})", tuple(sorted(self.pins)))]
        versions = {name: version_of(pin) for name, pin in self.pins.items()}
        venv = Part(f"environment {self.environment.path}", ())
        return [*([] if self.bare else [venv]), *arrange(versions, sizes, self.environment.name)]

    # -- Keys -----------------------------------------------------------------------------------------------

    def _inputs(self, part: Part) -> dict[str, str]:
        """Everything the part's layer depends on, each under the name that `--explain` shows.

        What is no distribution has a space in its name, which no distribution can have.
        """
        tools = self.tools
        inputs = {"place in the image": self.environment.path, "bytecode by Python": tools.compiled_by}
        inputs |= {"made for": tools.target} | ({} if part.members else {"interpreter": tools.python.path})
        inputs |= {"console script": script} if (script := self._script_of(part)) else {}
        return inputs | {name: self._wheel(name) for name in part.members}

    def _wheel(self, name: str) -> str:
        return f"{version_of(self.pins[name])}, wheels {digest_of(self.pins[name])[:12]}"

    def _script_of(self, part: Part) -> str | None:
        return self.environment.script if not self.environment.split and part.members else None

    def _unmade(self, parts: Collection[Part]) -> set[str]:
        """The members of parts that no layer in the cache has."""
        return {m for part in parts if not self.tools.cache.has(self._inputs(part)) for m in part.members}

    # -- Sizes: known once a distribution was installed -------------------------------------------------

    def _size_file(self, name: str) -> Path:
        key = digest_of("size", self.pins[name], self.tools.target, self.tools.compiled_by)
        return self.tools.cache.directory("sizes") / key

    @property
    def _sizes_key(self) -> str:
        lines = [self.pins[name] for name in sorted(self.pins)]
        return digest_of("sizes", lines, self.tools.target, self.tools.compiled_by)

    def _known_sizes(self) -> dict[str, int]:
        files = {name: self._size_file(name) for name in self.pins}
        sizes = {name: read_record(file, int) for name, file in files.items()}
        known = {name: size for name, size in sizes.items() if size is not None}
        text = self.tools.cache.fact(self._sizes_key)  # kept in any case, for --cache-to
        return json.loads(text) | known if text and len(known) < len(files) else known

    def _remember(self, sizes: Mapping[str, int], new: Collection[str]) -> None:
        """Each by itself, for other environments; and all together, for a remote cache."""
        for name in new:
            self.tools.cache.write_text(self._size_file(name), json.dumps(sizes[name]))
        if self.environment.split:
            self.tools.cache.keep_fact(self._sizes_key, json.dumps(sizes, sort_keys=True))

    # -- Effects ------------------------------------------------------------------------------------------

    def _make(self, names: Collection[str], tree: Path) -> dict[str, Installed]:
        """Install and compile these distributions."""
        if not names:
            return {}
        environment, tools = self.environment, self.tools
        tools.say(f"installing {len(names)} distributions: {environment.name}")
        expect_change()
        pins = "".join(f"{self.pins[name]}\n" for name in sorted(names))
        indexes = indexes_of(tools.root, environment.lock)
        packages, (others, built) = tree / site_packages(tools.python.version), split_built(pins, tools.cache)
        wanted = indexes + others if others else ""
        install(wanted, packages, tools.options, environment.name, tools.root)
        with ThreadPoolExecutor(1) as pool:
            offer = pool.submit(offered_wheels, wanted, tools.options, tools.root, tree.parent, tools.say)
            install_built(built, packages, tools.options, environment.name)
            finish(tree, environment.path, tools.python.version, tools.python.path)
            if environment.script:
                require_script(tree, environment.path, environment.script, environment.requirements[0])
            compile_tree(tools.interpreter, tree, environment.path)
        wheels = chosen_wheels(pins, offer.result(), packages)
        found = split(tree, environment.path, tools.python)
        return {name: Installed(entries, wheels.get(name, "")) for name, entries in found.items()}

    def _layer(self, part: Part, made: Mapping[str, Installed]) -> Layer:
        def entries() -> list[Entry]:
            venv = skeleton(self.environment.path, self.tools.python)
            own = venv if not part.members or not self.environment.split else []
            return [*own, *(entry for name in part.members for entry in made[name].entries)]

        def holds(entries: list[Entry]) -> tuple[Distribution, ...]:
            return read_distributions(entries, {name: made[name].digest for name in part.members})

        return self.tools.layer(part.name, self._inputs(part), entries, holds)


def split(tree: Path, path: str, python: Python) -> dict[str, list[Entry]]:
    """The entries of each distribution in a finished environment, as its RECORD lists them, with bytecode.

    Raises BuildError for files that no distribution lists.
    """
    root, packages = path.lstrip("/"), site_packages(python.version)
    entries = {e.path: e for e in tree_entries(tree, root) if e.kind != "directory"}
    left = set(entries) - {entry.path for entry in skeleton(path, python)}
    found: dict[str, list[Entry]] = {}
    for record in sorted(tree.glob(f"{packages}/*.dist-info/RECORD")):
        listed = [p for p in _listed(record, f"{root}/{packages}", python.version) if p in left]
        left -= set(listed)
        found[_distribution(record)] = [entries[p] for p in listed]
    if left:
        raise BuildError(f"{min(left)} belongs to no distribution: the RECORD of its wheel does not list it")
    return found


def _listed(record: Path, packages: str, python: str) -> Iterator[str]:
    for row in csv.reader(record.read_text(encoding="utf-8").splitlines()):
        path = posixpath.normpath(f"{packages}/{row[0]}")
        yield path
        if path.endswith(".py"):
            yield bytecode_path(path, python)


def _distribution(record: Path) -> str:
    """The name as pins spell it."""
    return re.sub(r"[-_.]+", "-", record.parent.name.partition("-")[0]).lower()


def _size(entries: list[Entry]) -> int:
    return sum(entry.size() for entry in entries)
