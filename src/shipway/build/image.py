"""ImagePlan -> OCI image: base, environments, runtime and project, each a layer of the cache.

In: a plan, and the project's directory for the files it names. Out: `BuiltImage`, whose blobs are in the
cache. Layers that do not depend on each other are made side by side; a layer whose inputs did not change is
not made at all.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build import oci
from shipway.build.base import build_base
from shipway.build.bytecode import compile_tree, host_arch, interpreter_of
from shipway.build.cache import Cache, digest_of
from shipway.build.contents import distribution_sizes
from shipway.build.debian import find_mirrors
from shipway.build.environment import install, install_wheel, require_script, site_packages
from shipway.build.layers import Entry, Layer, tree_entries
from shipway.build.oci import PlatformImage
from shipway.build.requirements import resolve, target_options
from shipway.build.runtime_wheel import runtime_wheel
from shipway.errors import BuildError
from shipway.plan.image import ImagePlan
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shipway.build.base import Base
    from shipway.build.bytecode import Interpreter
    from shipway.plan.image import Environment, File

    Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image whose blobs are in the cache. `digest` names it: a manifest, or an index of platforms."""

    role: str
    repository: str
    digest: str
    platforms: tuple[PlatformImage, ...]

    @property
    def reference(self) -> str:
        return f"{self.repository}@{self.digest}"


def build_image(plan: ImagePlan, root: Path, cache: Cache, say: Say) -> BuiltImage:
    """Make every platform's image. Raises BuildError and its kinds, and keeps the cache whole if so."""
    built = tuple(_Builder(plan, platform, root, cache, say).build() for platform in plan.platforms)
    for image in built:
        _check_size(plan, image, cache)
    return BuiltImage(plan.role, plan.repository, oci.image_digest(built, cache), built)


def _check_size(plan: ImagePlan, image: PlatformImage, cache: Cache) -> None:
    if plan.size_limit is None or image.unpacked <= plan.size_limit:
        return
    layers = {layer.name: layer.unpacked for layer in image.layers}
    parts = layers | {
        f"{name} ({layer.name.partition(' (')[0]})": size
        for layer in image.layers
        for name, size in distribution_sizes(cache.blob(layer.digest)).items()
    }
    largest = sorted(parts.items(), key=lambda part: -part[1])[:12]
    listed = "\n".join(f"    {size / 1e6:7.1f} MB  {name}" for name, size in largest)
    raise BuildError(
        f"the {plan.role} image has {image.unpacked / 1e6:.1f} MB unpacked, over the limit of "
        f"{plan.size_limit / 1e6:.0f} MB ([image] size); its largest layers and distributions:\n{listed}",
        "drop a dependency, or raise [image] size",
    )


@dataclass(frozen=True, slots=True)
class _Builder:
    """One platform of one plan."""

    plan: ImagePlan
    platform: str
    root: Path
    cache: Cache
    say: Say

    def build(self) -> PlatformImage:
        with ThreadPoolExecutor(max_workers=4) as pool:
            pins = [pool.submit(self._pins, environment) for environment in self.plan.environments]
            base = self._base()
            interpreter = interpreter_of(self._native(base))
            if interpreter.unavailable:
                self.say(f"no bytecode, so another digest than on Linux: {interpreter.unavailable}")
            layers = [
                pool.submit(self._base_layer, base),
                *(
                    pool.submit(self._environment, environment, pin.result(), base, interpreter)
                    for environment, pin in zip(self.plan.environments, pins, strict=True)
                ),
                pool.submit(self._runtime, base, interpreter),
            ]
            if self.plan.manifest:
                layers.append(pool.submit(self._project, base, interpreter))
            made = [layer.result() for layer in layers]
        return oci.platform_image(self.platform, made, self.plan.process, self._annotations(), self.cache)

    # -- the layers, lowest first ---------------------------------------------------------------------

    def _base(self, architecture: str = "") -> Base:
        wanted = self.plan.base
        mirrors = find_mirrors(wanted.mirror, os.environ)
        arch = architecture or self.platform.partition("/")[2]
        return build_base(arch, wanted.packages, mirrors, self.cache.root, self.say)

    def _native(self, base: Base) -> Base:
        """The base whose interpreter this host can run; bytecode does not depend on the architecture."""
        host = host_arch()
        return base if host in ("", base.arch) else self._base(host)

    def _base_layer(self, base: Base) -> Layer:
        name = f"base ({self.plan.base.kind}, {len(base.debs)} Debian packages)"
        return self.cache.layer(name, digest_of("base", base.key), lambda: _base_entries(base))

    def _pins(self, environment: Environment) -> str:
        return resolve(environment, self.root, self._options(), self.cache, self.say)

    def _options(self) -> tuple[str, ...]:
        return target_options(self.plan.python, self.platform)

    def _environment(
        self, environment: Environment, pins: str, base: Base, interpreter: Interpreter
    ) -> Layer:
        key = digest_of(
            "environment", pins, environment.path, environment.script, self.platform, base.compiled_by
        )
        count = pins.count("==")

        def entries() -> list[Entry]:
            self.say(f"installing {count} distributions: {environment.name}")
            with self.cache.working() as directory:
                tree = directory / "tree"
                install(pins, tree, environment.path, self.plan.python, self._options(), environment.name)
                if environment.script:
                    require_script(tree, environment.path, environment.script, environment.requirements[0])
                compile_tree(interpreter, tree, environment.path)
                return _loaded(tree_entries(tree, environment.path.lstrip("/")))

        return self.cache.layer(f"{environment.name} ({count} distributions)", key, entries)

    def _runtime(self, base: Base, interpreter: Interpreter) -> Layer:
        wheel = runtime_wheel(self.cache.root)
        path = f"{contract.VENV}/{site_packages(self.plan.python)}"
        key = digest_of("runtime", hashlib.sha256(wheel.read_bytes()).hexdigest(), path, base.compiled_by)

        def entries() -> list[Entry]:
            with self.cache.working() as directory:
                install_wheel(wheel, directory)
                compile_tree(interpreter, directory, path)
                return _loaded(tree_entries(directory, path.lstrip("/")))

        return self.cache.layer("runtime (shipway-runtime)", key, entries)

    def _project(self, base: Base, interpreter: Interpreter) -> Layer:
        """The project's files, compiled, and the manifest: the one layer that an edit changes."""
        manifest = contract.encode(self.plan.manifest)
        digests = [_digest(self.root / file.source) for file in self.plan.files]
        files = [(f.path, f.executable) for f in self.plan.files]
        key = digest_of(
            "project", files, digests, manifest, list(self.plan.process.volumes), base.compiled_by
        )

        def entries() -> list[Entry]:
            with self.cache.working() as directory:
                _copy(self.root, self.plan.files, directory)
                compile_tree(interpreter, directory / contract.SOURCE.lstrip("/"), contract.SOURCE)
                return [
                    *_loaded(tree_entries(directory, "")),
                    Entry(contract.MANIFEST.lstrip("/"), "file", content=manifest.encode()),
                    *(
                        Entry(path.lstrip("/"), "directory", 0o755, owner=contract.UID)
                        for path in self.plan.process.volumes
                    ),
                ]

        return self.cache.layer(f"project ({len(files)} files)", key, entries)

    def _annotations(self) -> dict[str, str]:
        return {"org.opencontainers.image.title": self.plan.repository.rpartition("/")[2]}


def _base_entries(base: Base) -> list[Entry]:
    entries = tree_entries(base.root, "", modes=True)
    return [*entries, Entry("app", "directory", 0o755)]


def _loaded(entries: Sequence[Entry]) -> list[Entry]:
    """Entries that outlive the working directory they were made in."""
    return [
        Entry(e.path, e.kind, e.mode, e.content.read_bytes(), e.target, e.owner)
        if isinstance(e.content, Path)
        else e
        for e in entries
    ]


def _copy(root: Path, files: Sequence[File], directory: Path) -> None:
    for file in files:
        target = directory / file.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / file.source).read_bytes())
        target.chmod(0o755 if file.executable else 0o644)
    (directory / contract.SOURCE.lstrip("/")).mkdir(parents=True, exist_ok=True)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
