"""An image as base: of a registry, or in an OCI layout on disk.

In: a reference or a directory, a platform, the digest that shipway.lock pins. Out: `ImageBase`. Manifest and
config are read; layers are not, until somebody asks for their bytes: to compile with the base's Python, or to
give them to whoever lacks them. What was found out about an image (its Python, its C library, what it weighs)
is kept by its digest, so it is found out once.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.build import oci
from shipway.build.bases.layout import open_layout
from shipway.build.bases.minimal import making
from shipway.build.bases.python import Found, find_certificates, find_python
from shipway.build.bases.rootfs import inside, unpack_layer
from shipway.build.bases.shared import PINS
from shipway.build.cache import Cache, digest_of, read_record
from shipway.build.debian.debs import Deb
from shipway.build.environments.bytecode import Interpreter, host_arch, unavailable
from shipway.build.layers import Layer
from shipway.build.registries.places import Places
from shipway.build.registries.reference import parse_reference
from shipway.build.registries.remote_image import RemoteImage, fetch_blob, newest, resolve
from shipway.errors import BuildError
from shipway.plan.image import BaseFacts, Python
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from shipway.build.bases.base import MakeLayer
    from shipway.build.registries.pool import Registries

    Say = Callable[[str], None]

_FORMAT = 1
"""Of what is kept about an image: counts up when more is found out."""
_WIDTH = 42
"""Characters of a layer's name, as `build` prints them."""
_unpacking = threading.RLock()


@dataclass(frozen=True, slots=True)
class Examined:
    """What an image's files say. `unpacked` are the bytes of each layer's files, lowest first."""

    found: Found
    certificates: str
    pins: str
    unpacked: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ImageBase:
    """One platform of an image. `name` is how agent.toml names it; `native` is the platform of this host."""

    name: str
    image: RemoteImage
    examined: Examined
    cache: Cache
    say: Say
    native: ImageBase | None
    debs: tuple[Deb, ...] = ()

    @property
    def arch(self) -> str:
        return self.image.platform.partition("/")[2]

    @property
    def key(self) -> str:
        return self.image.manifest.digest

    @property
    def facts(self) -> BaseFacts:
        config = self.image.config.get("config") or {}
        return BaseFacts(
            python=self.examined.found.python,
            name=self.name,
            digest=self.image.reference.digest or "",
            env=_environ(config),
            labels=_labels(config),
            certificates=self.examined.certificates,
            pins=self.examined.pins,
        )

    @property
    def compiled_by(self) -> str:
        compiler = self if self.arch == host_arch() else self.native
        return compiler.examined.found.version if compiler else ""

    @property
    def interpreter(self) -> Interpreter:
        """This platform's own. Look at `unavailable` before relying on it."""
        found = self.examined.found
        return Interpreter(
            _root(self.cache, self.key),
            found.python.path.lstrip("/"),
            found.loader.lstrip("/"),
            tuple(path.lstrip("/") for path in found.libraries),
            found.home.lstrip("/"),
            musl=found.python.libc.startswith("musl"),
            unavailable=unavailable(self.arch),
            prepare=self.tree,
        )

    @property
    def compiler(self) -> Interpreter:
        return self.native.interpreter if self.native else self.interpreter

    def tree(self) -> Path:
        """The root file system, unpacked for programs that run here: links are relative, owners are ours."""
        return _tree(self.image, self.name, self.cache, self.say)[0]

    def layers(self, _: MakeLayer) -> list[Layer]:
        """As they are in the image; their blobs are brought when somebody needs the bytes."""
        return _layers(self.image, self.name, self.examined.unpacked)


def find_image(
    reference: str, platform: str, cache: Cache, say: Say, pinned: str | None, registries: Registries
) -> ImageBase:
    """The image of a registry, at the digest that is pinned or that its tag has now."""
    named = parse_reference(reference)
    repository = registries.repository(named)
    digest = pinned or named.digest or newest(repository, named, cache, say)

    def find(wanted: str) -> RemoteImage:
        image = resolve(repository, named.at(digest), wanted, cache)
        for blob in image.layers:
            cache.offer(blob.digest, blob.size, lambda blob=blob: fetch_blob(repository, blob, cache))  # type: ignore[misc]
            Places(cache, repository).remember(blob.digest)
        return image

    return _base(reference, find, platform, cache, say)


def find_layout(
    directory: Path, reference: str, platform: str, cache: Cache, say: Say, pinned: str | None
) -> ImageBase:
    """The image in an OCI layout on disk."""
    layout = open_layout(directory, reference, cache)
    if pinned and layout.digest != pinned:
        raise BuildError(
            f"the base {reference} is {layout.digest[:19]} now, and shipway.lock has {pinned[:19]}",
            "run `shipway lock --upgrade`, or bring the layout back",
        )
    return _base(reference, layout.image, platform, cache, say)


def _base(name: str, find: Callable[[str], RemoteImage], platform: str, cache: Cache, say: Say) -> ImageBase:
    image = find(platform)
    host = host_arch()
    native = None
    if host and platform != f"linux/{host}":
        try:
            native = _examine(name, find(f"linux/{host}"), cache, say, None)
        except BuildError as error:
            say(f"no bytecode, as the base's Python cannot run here: {error}")
    return _examine(name, image, cache, say, native)


def _examine(name: str, image: RemoteImage, cache: Cache, say: Say, native: ImageBase | None) -> ImageBase:
    """The base with what is known of it, found out now unless it is kept."""
    key = digest_of("base image", _FORMAT, image.manifest.digest)
    kept = cache.fact(key)
    if kept is None:
        root, unpacked = _tree(image, name, cache, say)
        environ = _environ(image.config.get("config") or {})
        pins = inside(root, f"{contract.APP}/{PINS}")
        examined = Examined(
            find_python(root, environ, name),
            find_certificates(root),
            pins.read_text(encoding="utf-8") if pins.is_file() else "",
            unpacked,
        )
        cache.keep_fact(key, json.dumps(dataclasses.asdict(examined)))
    else:
        examined = _read(json.loads(kept))
    return ImageBase(name, image, examined, cache, say, native)


def _read(kept: Mapping[str, Any]) -> Examined:
    found = kept["found"]
    python = Found(
        Python(**found["python"]),
        found["version"],
        found["loader"],
        tuple(found["libraries"]),
        found["home"],
    )
    return Examined(python, kept["certificates"], kept["pins"], tuple(kept["unpacked"]))


# -- Its files, when they are needed ------------------------------------------------------------------------


def _root(cache: Cache, digest: str) -> Path:
    return cache.root / "rootfs" / digest.partition(":")[2]


def _tree(image: RemoteImage, name: str, cache: Cache, say: Say) -> tuple[Path, tuple[int, ...]]:
    """The tree, and the bytes of each layer's files."""
    root = _root(cache, image.manifest.digest)
    sizes = root.with_suffix(".json")
    with _unpacking:
        if not (root.is_dir() and read_record(sizes, list) is not None):
            total = sum(blob.size for blob in image.layers)
            what = f"{len(image.layers)} layers, {total / 1e6:.1f} MB"
            say(f"unpacking the base {name} for {image.platform}: {what}")
            with ThreadPoolExecutor(4) as pool:
                blobs = list(pool.map(lambda blob: cache.bring(blob.digest), image.layers))
            with making(root) as tree:
                unpacked = [_unpack(tree, name, blob) for blob in blobs]
                cache.write_text(sizes, json.dumps(unpacked))
    return root, tuple(json.loads(sizes.read_text()))


def _unpack(tree: Path, name: str, blob: Path) -> int:
    with blob.open("rb") as stream:
        return unpack_layer(tree, f"the base {name}, layer {blob.name[:12]},", stream)


def _layers(image: RemoteImage, name: str, unpacked: tuple[int, ...]) -> list[Layer]:
    history = [h for h in image.config.get("history") or () if not h.get("empty_layer")]
    made = [str(entry.get("created_by", "")) for entry in history]
    titles = made if len(made) == len(image.layers) else [""] * len(image.layers)
    return [
        Layer(
            _title(title, blob.digest),
            blob.digest,
            diff_id,
            blob.size,
            size,
            {"layer of the base": blob.digest},
            cached=True,
            media_type=oci.layer_type(blob.media_type, name),
            is_foreign=True,
        )
        for blob, diff_id, size, title in zip(image.layers, image.diff_ids, unpacked, titles, strict=True)
    ]


def _title(created_by: str, digest: str) -> str:
    """What made the layer, short, without what builders put around it."""
    text = re.sub(r"^(/bin/sh -c (#\(nop\) *)?|RUN (/bin/sh -c )?|shipway: )|\s*# buildkit$", "", created_by)
    short = re.sub(r"\s+", " ", text).strip() or digest[7:19]
    named = short if short.startswith("base") else f"base: {short}"
    return named if len(named) <= _WIDTH else f"{named[: _WIDTH - 1]}…"


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    """Whatever the base's owner says, but for what describes the base itself."""
    labels = config.get("Labels") or {}
    return {str(k): str(v) for k, v in labels.items() if not str(k).startswith("org.opencontainers.image.")}


def _environ(config: Mapping[str, Any]) -> dict[str, str]:
    pairs = (str(entry).partition("=") for entry in config.get("Env") or ())
    return {name: value for name, _, value in pairs if name}
