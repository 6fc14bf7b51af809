"""An image in a registry, as far as it is needed.

In: a repository and a platform. Out: `RemoteImage`: manifest and config, verified, without a single layer.
Layers come one by one, when somebody asks: what the target registry has already is never downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.build.places import Places
from shipway.build.reference import Reference
from shipway.build.registry import KINDS
from shipway.build.transfer import Descriptor, download, read_descriptor
from shipway.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from shipway.build.cache import Cache
    from shipway.build.registry import Manifest, Repository

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


def resolve(repository: Repository, reference: Reference, platform: str, cache: Cache) -> RemoteImage:
    """Find the image of one platform, `linux/amd64`. Raises BuildError when there is none."""
    top = _fetch(repository, reference.wanted)
    manifest = top
    if top.media_type in _INDEXES:
        manifest = _fetch(repository, _choose(top.document("manifests"), platform, reference))
    if manifest.media_type not in _MANIFESTS:
        raise BuildError(
            f"{reference}: {manifest.media_type or 'no media type'}: expected an OCI or Docker image"
        )
    document = manifest.document("layers", "config")
    config = _config(repository, read_descriptor(document["config"]), cache)
    layers = tuple(read_descriptor(layer) for layer in document["layers"])
    rootfs = config.get("rootfs")
    diff_ids = tuple(rootfs.get("diff_ids") or ()) if isinstance(rootfs, dict) else ()
    found = f"{config.get('os')}/{config.get('architecture')}"
    if found != platform or len(diff_ids) != len(layers):
        seen = f"it is for {found}" if found != platform else "its config and its layers do not match"
        raise BuildError(f"{reference}: expected an image for {platform}, but {seen}")
    part = Descriptor(manifest.media_type, manifest.digest, len(manifest.data))
    return RemoteImage(reference.at(top.digest), platform, part, config, layers, diff_ids)


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


def _choose(index: Mapping[str, Any], platform: str, reference: Reference) -> str:
    entries = {_platform(entry): entry for entry in reversed(index.get("manifests", []))}
    chosen = entries.get(platform) or entries.get(f"{platform}/v8")
    if chosen is None:
        there = ", ".join(sorted(name for name in entries if "unknown" not in name)) or "none"
        raise BuildError(f"{reference} has no image for {platform}; it has {there}")
    return read_descriptor(chosen).digest


def _platform(entry: Mapping[str, Any]) -> str:
    named = entry.get("platform") or {}
    parts = (named.get("os"), named.get("architecture"), named.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _config(repository: Repository, blob: Descriptor, cache: Cache) -> Mapping[str, Any]:
    config = json.loads(fetch_blob(repository, blob, cache).read_bytes())
    if not isinstance(config, dict):
        raise BuildError(f"{repository}: the image's config {blob.digest} is no JSON object")
    return config
