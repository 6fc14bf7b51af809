"""A registry as build cache, for runners that start empty.

In: the key of a layer. Out: the layer's record, or nothing; its blob only when somebody needs the bytes. Each
layer is an OCI artifact under the tag `cache-<key>`: a manifest whose single layer is the blob, and whose
annotations are the record. Whoever may write there decides what goes into images: give it the rights of CI.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.build import oci
from shipway.build.cache import Cache
from shipway.build.distributions import from_record, to_record
from shipway.build.layers import Layer
from shipway.build.places import Places
from shipway.build.reference import is_digest
from shipway.build.registry import Manifest, Repository
from shipway.build.remote_image import fetch_blob
from shipway.build.transfer import Descriptor, read_descriptor, upload
from shipway.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path


KIND = "application/vnd.shipway.layer.v1"
_EMPTY = "application/vnd.oci.empty.v1+json"
_OURS = "dev.shipway.layer."


@dataclass(frozen=True, slots=True)
class RemoteCache:
    """Layers in one repository. `local` is where blobs are read from and brought to."""

    repository: Repository
    local: Cache

    def fetch(self, key: str) -> Layer | None:
        """The layer of this key, without its blob; None when the registry does not know it."""
        found = self.repository.manifest(_tag(key))
        return _read(found.document("layers"), key) if found else None

    def bring(self, layer: Layer) -> Path:
        """The layer's blob, downloaded unless it is in the local cache."""
        return fetch_blob(self.repository, Descriptor(oci.LAYER, layer.digest, layer.size), self.local)

    def store(self, key: str, layer: Layer) -> None:
        """Keep a layer that is in the local cache; nothing is sent that is there."""
        config = Descriptor(_EMPTY, self.local.store(b"{}"), 2)
        blob = Descriptor(oci.LAYER, layer.digest, layer.size)
        manifest = Manifest(oci.MANIFEST, "", _write(key, layer, config, blob))
        places = Places(self.local, self.repository)
        for part in (blob, config):
            file = self.local.blob(part.digest)
            upload(self.repository, part, lambda file=file: file, places.source(part.digest))  # type: ignore[misc]
            places.remember(part.digest)
        self.repository.put_manifest(manifest, _tag(key))


def _tag(key: str) -> str:
    return f"cache-{key[:40]}"


def _write(key: str, layer: Layer, config: Descriptor, blob: Descriptor) -> bytes:
    parts = [{"mediaType": d.media_type, "digest": d.digest, "size": d.size} for d in (config, blob)]
    record = {"key": key, "name": layer.name, "diff-id": layer.diff_id, "unpacked": str(layer.unpacked)}
    record["distributions"] = json.dumps(to_record(layer.distributions))
    document = {
        "schemaVersion": 2,
        "mediaType": oci.MANIFEST,
        "artifactType": KIND,
        "config": parts[0],
        "layers": [parts[1]],
        "annotations": {_OURS + name: value for name, value in record.items()},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _read(document: dict[str, Any], key: str) -> Layer | None:
    """The record; None when it is another key's, whose tag begins the same."""
    record = document.get("annotations") or {}
    if document.get("artifactType") != KIND or record.get(_OURS + "key") != key:
        return None
    blob = read_descriptor(document["layers"][0])
    diff_id, unpacked = str(record.get(_OURS + "diff-id")), str(record.get(_OURS + "unpacked"))
    try:
        held = from_record(json.loads(record[_OURS + "distributions"]))
    except (KeyError, TypeError, ValueError):
        held = None
    if not is_digest(diff_id) or not unpacked.isdigit() or held is None:
        raise BuildError(f"the build cache holds a record that cannot be used: {_tag(key)}", "delete the tag")
    name = record.get(_OURS + "name", "")
    return Layer(name, blob.digest, diff_id, blob.size, int(unpacked), cached=True, distributions=held)
