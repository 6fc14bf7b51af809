"""An image in a registry, as far as it is needed.

In: a repository and a platform. Out: `RemoteImage`: manifest and config, verified, without a single layer.
Layers come one by one, when somebody asks: what the target registry has already is never downloaded. What a
digest names is kept in the cache, so an image that is pinned is not asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.build.registries.places import Places
from shipway.build.registries.reference import Reference, is_digest
from shipway.build.registries.registry import KINDS, Manifest
from shipway.build.registries.transfer import Descriptor, download, read_descriptor
from shipway.errors import BuildError, UnreachableError

if TYPE_CHECKING:
    from pathlib import Path

    from shipway.build.cache import Cache
    from shipway.build.registries.registry import Repository

_INDEXES, _MANIFESTS = KINDS[::2], KINDS[1::2]


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """One platform of an image. `reference` pins what was asked for, index or manifest, by digest.

    `layers` and `diff_ids` go together, lowest first; `config` is the whole image config.
    """

    reference: Reference
    platform: str
    manifest: Descriptor
    config: Mapping[str, Any]
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]


def newest(repository: Repository, reference: Reference, cache: Cache, say: Callable[[str], None]) -> str:
    """The digest that the tag has now; while the registry does not answer the last one, which is said."""
    kept = cache.directory("tags") / repository.registry.replace(":", "_") / repository.name
    kept = kept.parent / f"{kept.name.replace('/', '_')}_{reference.wanted}"
    try:
        digest = repository.manifest_digest(reference.wanted)
    except UnreachableError as error:
        last = kept.read_text() if kept.is_file() else ""
        if not is_digest(last):
            raise
        say(f"{error}: {reference} as it was last seen, {last[:19]}")
        return last
    if digest is None:
        found = _fetch(repository, reference.wanted)  # says what is missing, or has a digest of its own
        digest = found.digest
    cache.write_text(kept, digest)
    return digest


def resolve(repository: Repository, reference: Reference, platform: str, cache: Cache) -> RemoteImage:
    """Find the image of one platform, `linux/amd64`. Raises BuildError when there is none."""
    top = _kept(repository, reference.wanted, cache)
    manifest = top
    if top.media_type in _INDEXES:
        manifest = _kept(repository, choose(top.document("manifests"), platform, str(reference)), cache)
    if manifest.media_type not in _MANIFESTS:
        raise BuildError(
            f"{reference}: {manifest.media_type or 'no media type'}: expected an OCI or Docker image"
        )
    document = manifest.document("layers", "config")
    config = _config(repository, read_descriptor(document["config"]), cache)
    part = Descriptor(manifest.media_type, manifest.digest, len(manifest.data))
    return read_image(reference.at(top.digest), platform, part, document, config)


def read_image(
    reference: Reference,
    platform: str,
    manifest: Descriptor,
    document: Mapping[str, Any],
    config: Mapping[str, Any],
) -> RemoteImage:
    """The image that a manifest and its config describe. Raises BuildError when it is another platform's."""
    layers = tuple(read_descriptor(layer) for layer in document["layers"])
    rootfs = config.get("rootfs")
    diff_ids = tuple(rootfs.get("diff_ids") or ()) if isinstance(rootfs, dict) else ()
    found = f"{config.get('os')}/{config.get('architecture')}"
    if found != platform or len(diff_ids) != len(layers):
        seen = f"it is for {found}" if found != platform else "its config and its layers do not match"
        raise BuildError(f"{reference}: expected an image for {platform}, but {seen}")
    return RemoteImage(reference, platform, manifest, config, layers, diff_ids)


def choose(index: Mapping[str, Any], platform: str, name: str) -> str:
    """The digest of the platform's manifest in an index. Raises BuildError that lists what there is."""
    entries = {_platform(entry): entry for entry in reversed(index.get("manifests", []))}
    chosen = entries.get(platform) or entries.get(f"{platform}/v8")
    if chosen is None:
        there = ", ".join(sorted(name for name in entries if "unknown" not in name)) or "none"
        raise BuildError(f"{name} has no image for {platform}; it has {there}")
    return read_descriptor(chosen).digest


def fetch_blob(repository: Repository, blob: Descriptor, cache: Cache) -> Path:
    """The blob's file in the cache, downloaded unless it is there."""
    path = download(repository, blob, cache.blob(blob.digest))
    Places(cache, repository).remember(blob.digest)
    return path


def _fetch(repository: Repository, wanted: str) -> Manifest:
    found = repository.manifest(wanted)
    if found is None:
        raise BuildError(f"{repository}: there is no image {wanted}", "check the name and the tag")
    return found


def _kept(repository: Repository, wanted: str, cache: Cache) -> Manifest:
    """The manifest, from the cache where it is asked for by digest and its content says its type."""
    if is_digest(wanted) and (file := cache.blob(wanted)).is_file():
        manifest = Manifest("", wanted, file.read_bytes())
        kind = str(manifest.document().get("mediaType", ""))
        if kind in KINDS:
            return Manifest(kind, wanted, manifest.data)
    found = _fetch(repository, wanted)
    cache.store(found.data)
    return found


def _platform(entry: Mapping[str, Any]) -> str:
    named = entry.get("platform") or {}
    parts = (named.get("os"), named.get("architecture"), named.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _config(repository: Repository, blob: Descriptor, cache: Cache) -> Mapping[str, Any]:
    config = json.loads(fetch_blob(repository, blob, cache).read_bytes())
    if not isinstance(config, dict):
        raise BuildError(f"{repository}: the image's config {blob.digest} is no JSON object")
    return config
