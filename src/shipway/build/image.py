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
from shipway.build.compiled import compile_sources
from shipway.build.debian import find_mirrors
from shipway.build.environment import install_wheel, site_packages
from shipway.build.layers import Entry, Layer, loaded, tree_entries
from shipway.build.locking import Locked
from shipway.build.node import node_layers
from shipway.build.oci import PlatformImage
from shipway.build.requirements import resolve, target_options
from shipway.build.runtime_wheel import runtime_wheel
from shipway.build.scan import scan_config, scan_file
from shipway.build.size import check_size
from shipway.build.toolchain import Toolchain
from shipway.build.wheels import environment_layers
from shipway.errors import SpecError
from shipway.plan.image import ImagePlan
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shipway.build.base import Base
    from shipway.plan.image import Environment, File

    Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image whose blobs are in the cache. `digest` names it: a manifest, or an index of platforms."""

    role: str
    repository: str
    digest: str
    platforms: tuple[PlatformImage, ...]
    also: tuple[str, ...] = ()
    """Other roles of release.json that this image plays."""

    @property
    def reference(self) -> str:
        return f"{self.repository}@{self.digest}"


def build_image(plan: ImagePlan, root: Path, cache: Cache, say: Say, locked: Locked) -> BuiltImage:
    """Make every platform's image. Raises BuildError and its kinds, and keeps the cache whole if so."""
    built = tuple(_Builder(plan, platform, root, cache, say, locked).build() for platform in plan.platforms)
    for image in built:
        check_size(plan, image, cache)
    return BuiltImage(plan.role, plan.repository, oci.image_digest(built, cache), built, plan.also)


@dataclass(frozen=True, slots=True)
class _Builder:
    """One platform of one plan."""

    plan: ImagePlan
    platform: str
    root: Path
    cache: Cache
    say: Say
    locked: Locked

    def build(self) -> PlatformImage:
        with ThreadPoolExecutor(max_workers=4) as pool:
            pins = [pool.submit(self._pins, environment) for environment in self.plan.environments]
            base = self._base()
            tools = self._toolchain(base)
            # Started first: while another process compiles it, the others are made.
            project = [pool.submit(self._project_layer, m, tools) for m in (self.plan.manifest,) if m]
            steps = [
                pool.submit(lambda: [base_layer(self.plan, base, tools.layer)]),
                pool.submit(node_layers, self.plan.node, tools),
                *(
                    pool.submit(environment_layers, environment, pin.result(), tools)
                    for environment, pin in zip(self.plan.environments, pins, strict=True)
                ),
                pool.submit(_runtime_layer, tools),
                *project,
            ]
            made = [layer for step in steps for layer in step.result()]
        return oci.platform_image(self.platform, made, self.plan.process, self._annotations(), self.cache)

    def _toolchain(self, base: Base) -> Toolchain:
        interpreter = interpreter_of(self._native(base))
        if interpreter.unavailable:
            self.say(f"no bytecode, so another digest than on Linux: {interpreter.unavailable}")
        return Toolchain(
            self.platform,
            self.plan.python,
            self._options(),
            interpreter,
            base.compiled_by,
            self.cache,
            self.say,
            self.root,
        )

    def _base(self, architecture: str = "") -> Base:
        arch = architecture or self.platform.partition("/")[2]
        return find_base(self.plan, arch, self.cache, self.say, self.locked)

    def _native(self, base: Base) -> Base:
        """The base whose interpreter this host can run; bytecode does not depend on the architecture."""
        host = host_arch()
        return base if host in ("", base.arch) else self._base(host)

    def _pins(self, environment: Environment) -> str:
        known = self.locked.resolution(environment, self.plan.python, self.platform)
        return resolve(environment, self.root, self._options(), self.cache, self.say, known)

    def _options(self) -> tuple[str, ...]:
        return target_options(self.plan.python, self.platform)

    # -- The layers, lowest first; those of the environments are in wheels.py ---------------------------

    def _project_layer(self, manifest: contract.Manifest, tools: Toolchain) -> list[Layer]:
        """The project's files, compiled, and the manifest: the one layer that an edit changes."""
        text = contract.encode(manifest)
        volumes = self.plan.process.volumes
        contents = {file: (self.root / file.source).read_bytes() for file in self.plan.files}
        self._refuse_secrets(contents, text)

        def entries() -> list[Entry]:
            code = {f.path: data for f, data in contents.items() if _is_source(f.path)}
            files = {path: (0o644, data) for path, data in compile_sources(code, tools).items()}
            files |= {f.path: (0o755 if f.executable else 0o644, data) for f, data in contents.items()}
            files[contract.MANIFEST] = (0o644, text.encode())
            return [
                Entry(contract.SOURCE.lstrip("/"), "directory", 0o755),
                *(Entry(path.lstrip("/"), "file", mode, data) for path, (mode, data) in files.items()),
                *(Entry(path.lstrip("/"), "directory", 0o755, owner=contract.UID) for path in volumes),
            ]

        inputs = {
            "bytecode by Python": tools.compiled_by,
            "volumes": " ".join(volumes),
            contract.MANIFEST: digest_of(text)[:16],
            **{f.path: digest_of(f.executable, sha256(data))[:16] for f, data in contents.items()},
        }
        return [tools.layer(f"project ({len(contents)} files)", inputs, entries)]

    def _refuse_secrets(self, contents: Mapping[File, bytes], manifest: str) -> None:
        """Raise SpecError with every secret in the files, the manifest and the image's config."""
        found = [f for file, data in contents.items() for f in scan_file(file.source, data)]
        found += scan_config(self.plan.process, self._annotations(), manifest)
        if found:
            raise SpecError(found)

    def _annotations(self) -> dict[str, str]:
        return {"org.opencontainers.image.title": self.plan.repository.rpartition("/")[2]}


def find_base(plan: ImagePlan, arch: str, cache: Cache, say: Say, locked: Locked) -> Base:
    """The plan's base for an architecture, from the lock's packages where there is one."""
    mirrors = find_mirrors(plan.base.mirror, os.environ)
    return build_base(arch, plan.base.packages, mirrors, cache.root, say, locked.debs(plan.base))


def base_layer(plan: ImagePlan, base: Base, make: Callable[..., Layer]) -> Layer:
    """The lowest layer, the same on every road; `make` is a cache's `layer`, or a toolchain's."""
    name = f"base ({plan.base.kind}, {len(base.debs)} Debian packages)"
    inputs = {"root file system": base.key} | {deb.name: deb.version for deb in base.debs}
    app = Entry("app", "directory", 0o755)
    return make(name, inputs, lambda: [*tree_entries(base.root, "", modes=True), app])


def _runtime_layer(tools: Toolchain) -> list[Layer]:
    wheel = runtime_wheel(tools.cache.root)
    path = f"{contract.VENV}/{site_packages(tools.python)}"

    def entries() -> list[Entry]:
        with tools.cache.working() as directory:
            install_wheel(wheel, directory)
            compile_tree(tools.interpreter, directory, path)
            return loaded(tree_entries(directory, path.lstrip("/")))

    inputs = {
        "place": path,
        "bytecode by Python": tools.compiled_by,
        "wheel": sha256(wheel.read_bytes())[:16],
    }
    return [tools.layer("runtime (shipway-runtime)", inputs, entries)]


def _is_source(path: str) -> bool:
    return path.startswith(f"{contract.SOURCE}/") and path.endswith(".py")


def sha256(data: bytes) -> str:
    """Hexadecimal text."""
    return hashlib.sha256(data).hexdigest()
