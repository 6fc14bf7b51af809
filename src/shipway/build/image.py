"""ImagePlan -> OCI image: base, environments, runtime and project, each a layer of the cache.

In: a plan, and the project's directory for the files it names. Out: `BuiltImage`, whose blobs are in the
cache. Layers that do not depend on each other are made side by side; a layer whose inputs did not change is
not made at all.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build import oci
from shipway.build.attachments.attach import Origin, attach
from shipway.build.attachments.referrers import image_annotations
from shipway.build.bases.base import Base, find_bases
from shipway.build.bases.rootfs import inside
from shipway.build.bases.shared import PINS, lacking, merged, preferred
from shipway.build.cache import Cache, digest_of
from shipway.build.certificates import join_certificates, read_certificates
from shipway.build.environments.bytecode import compile_tree
from shipway.build.environments.chosen import pinned_distributions
from shipway.build.environments.compiled import compile_sources
from shipway.build.environments.distributions import read_distributions
from shipway.build.environments.environment import install_wheel, site_packages
from shipway.build.environments.node import node_layers
from shipway.build.environments.requirements import resolve, target_options
from shipway.build.environments.runtime_wheel import DISTRIBUTION, runtime_wheel
from shipway.build.environments.wheels import environment_layers
from shipway.build.layers import Entry, Layer, loaded, tree_entries
from shipway.build.locking import Locked
from shipway.build.oci import PlatformImage
from shipway.build.registries.reference import without_tag
from shipway.build.secrets.scan import scan_config, scan_file
from shipway.build.size import check_size
from shipway.build.toolchain import Toolchain
from shipway.errors import BuildError, SpecError
from shipway.plan.image import ImagePlan
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shipway.build.registries.pool import Registries
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


def build_image(
    unsettled: ImagePlan,
    root: Path,
    source: contract.Source,
    cache: Cache,
    say: Say,
    locked: Locked,
    registries: Registries,
    *,
    files: Path | None = None,
) -> BuiltImage:
    """Make every platform's image, and what is attached to it; `source` is the project's revision.

    `root` is the project, whose uv settings hold; `files` is where the plan's files are, if they are not its.

    Raises BuildError and its kinds, and keeps the cache whole if so.
    """
    with cache.disk_errors():
        plan, bases = find_bases(unsettled, root, cache, say, locked, registries)
        built = tuple(
            _Builder(plan, platform, base, root, files or root, source, cache, say, locked).build()
            for platform, base in bases.items()
        )
    for image in built:
        check_size(plan, image, cache)
    return BuiltImage(plan.role, plan.repository, oci.image_digest(built, cache), built, plan.also)


@dataclass(frozen=True, slots=True)
class _Builder:
    """One platform of one plan."""

    plan: ImagePlan
    platform: str
    base: Base
    root: Path
    files: Path
    source: contract.Source
    cache: Cache
    say: Say
    locked: Locked

    def build(self) -> PlatformImage:
        tools = self._toolchain()
        with ThreadPoolExecutor(max_workers=4) as pool:
            pins = [pool.submit(self._pins, environment) for environment in self.plan.environments]
            # Started first: while another process compiles it, the others are made.
            own = self.plan.files or self.plan.manifest
            project = [pool.submit(self._project_layer, tools)] if own else []
            steps = [
                pool.submit(self.base.layers, tools.layer),
                pool.submit(self._certificates_layer, tools),
                pool.submit(node_layers, self.plan.node, self.plan.base, tools, self.locked),
                *(
                    pool.submit(self._environment_layers, environment, pin.result(), tools)
                    for environment, pin in zip(self.plan.environments, pins, strict=True)
                ),
            ]
            if self.plan.role != "base" and self.plan.environments:
                steps.append(pool.submit(_runtime_layer, tools))
            steps += project
            made = [layer for step in steps for layer in step.result()]
        image = oci.platform_image(self.platform, made, self.plan.process, self._annotations(), self.cache)
        return replace(image, referrers=attach(image, self._origin(), self.cache))

    def _toolchain(self) -> Toolchain:
        if why := self.base.compiler.unavailable:
            self.say(f"no bytecode, so another digest than on Linux: {why}")
        return Toolchain(
            self.platform,
            self.base.facts.python,
            self._options(),
            self.base.compiler,
            self.base.compiled_by,
            self.cache,
            self.say,
            self.root,
        )

    def _pins(self, environment: Environment) -> str:
        known = self.locked.resolution(environment, self.plan.base, self.platform)
        there = preferred(self._there(environment))
        return resolve(environment, self.root, self._options(), self.cache, self.say, known, there)

    def _there(self, environment: Environment) -> str:
        """The distributions that a shared base has in this environment already."""
        return self.base.facts.pins if environment.path == contract.VENV else ""

    def _options(self) -> tuple[str, ...]:
        return target_options(self.base.facts.python, self.platform)

    # -- The layers, lowest first; those of the environments are in wheels.py ---------------------------

    def _certificates_layer(self, tools: Toolchain) -> list[Layer]:
        """The base's bundle of certificates with the project's own added; none without [image] ca."""
        if self.plan.ca is None:
            return []
        bundle, own = self.base.facts.certificates, read_certificates(self.root, self.plan.ca)
        if not bundle:
            raise BuildError(
                f"the base {self.plan.base.reference} has no bundle of certificates for [image] ca to join",
                "install ca-certificates in the base",
            )

        def entries() -> list[Entry]:
            file = inside(self.base.tree(), bundle)
            path = file.relative_to(self.base.tree()).as_posix()
            return [Entry(path, "file", content=join_certificates(file.read_bytes(), own))]

        inputs = {"base": self.base.key, "place": bundle, "certificates of [image] ca": sha256(own)[:16]}
        return [tools.layer("certificates", inputs, entries)]

    def _environment_layers(self, environment: Environment, pins: str, tools: Toolchain) -> list[Layer]:
        there = self._there(environment)
        layers = environment_layers(
            environment, lacking(pins, there, self.plan.base.reference), tools, bare=bool(there)
        )
        if self.plan.role != "base":
            return layers
        text = merged(pins, there)
        path = f"{contract.APP}/{PINS}".lstrip("/")
        entry = Entry(path, "file", content=text.encode())
        return [*layers, tools.layer(f"list ({path})", {path: sha256(text.encode())[:16]}, lambda: [entry])]

    def _project_layer(self, tools: Toolchain) -> list[Layer]:
        """The project's files, compiled, and the agent's manifest: the one layer that an edit changes."""
        manifest, volumes = self.plan.manifest, self.plan.process.volumes
        contents = {file: (self.files / file.source).read_bytes() for file in self.plan.files}
        documents = {contract.MANIFEST: contract.encode(manifest)} if manifest else {}
        self._refuse_secrets(contents, "".join(documents.values()))

        def entries() -> list[Entry]:
            code = {f.path: data for f, data in contents.items() if _is_source(f.path)}
            files = {path: (0o644, data) for path, data in compile_sources(code, tools).items()}
            files |= {f.path: (0o755 if f.executable else 0o644, data) for f, data in contents.items()}
            files |= {path: (0o644, text.encode()) for path, text in documents.items()}
            return [
                Entry(contract.SOURCE.lstrip("/"), "directory", 0o755),
                *(Entry(path.lstrip("/"), "file", mode, data) for path, (mode, data) in files.items()),
                *(Entry(path.lstrip("/"), "directory", 0o755, owner=contract.UID) for path in volumes),
            ]

        inputs = {
            "bytecode by Python": tools.compiled_by,
            "volumes": " ".join(volumes),
            **{path: digest_of(text)[:16] for path, text in documents.items()},
            **{f.path: digest_of(f.executable, sha256(data))[:16] for f, data in contents.items()},
        }
        what = "project" if manifest else self.plan.role
        return [tools.layer(f"{what} ({len(contents)} files)", inputs, entries)]

    def _refuse_secrets(self, contents: Mapping[File, bytes], manifest: str) -> None:
        """Raise SpecError with every secret in the files, the manifest and the image's config."""
        found = [f for file, data in contents.items() for f in scan_file(file.source, data)]
        found += scan_config(self.plan.process, self._annotations(), manifest)
        if found:
            raise SpecError(found)

    # -- What is said about the image -----------------------------------------------------------------------

    def _annotations(self) -> dict[str, str]:
        plan, title = self.plan, without_tag(self.plan.repository).rpartition("/")[2]
        return image_annotations(title, plan.version, plan.licence, *self._below())

    def _origin(self) -> Origin:
        base, facts = self.plan.base, self.base.facts
        asked = {
            "image": self.plan.role,
            "platform": self.platform,
            "base": base.reference if base.kind == "image" else base.kind,
            "packages": " ".join(base.packages),
            "python": facts.python.version,
        }
        repository, there = without_tag(self.plan.repository), pinned_distributions(facts.pins, contract.VENV)
        return Origin(repository, self.source, asked, self.base.debs, there, *self._below())

    def _below(self) -> tuple[str, str]:
        """Name and digest of the image below ours; a layout on disk has a path, and that is nobody's name."""
        facts = self.base.facts
        return facts.name if self.plan.base.kind == "image" else "", facts.digest


def _runtime_layer(tools: Toolchain) -> list[Layer]:
    wheel = runtime_wheel(tools.cache.root)
    path = f"{contract.VENV}/{site_packages(tools.python.version)}"

    def entries() -> list[Entry]:
        with tools.cache.working() as directory:
            install_wheel(wheel, directory)
            compile_tree(tools.interpreter, directory, path)
            return loaded(tree_entries(directory, path.lstrip("/")))

    digest = sha256(wheel.read_bytes())
    inputs = {"place": path, "bytecode by Python": tools.compiled_by, "wheel": digest[:16]}
    wheels = {DISTRIBUTION: f"sha256:{digest}"}
    name = f"runtime ({DISTRIBUTION})"
    return [tools.layer(name, inputs, entries, lambda made: read_distributions(made, wheels))]


def _is_source(path: str) -> bool:
    return path.startswith(f"{contract.SOURCE}/") and path.endswith(".py")


def sha256(data: bytes) -> str:
    """Hexadecimal text."""
    return hashlib.sha256(data).hexdigest()
