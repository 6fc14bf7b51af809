"""A registry as build cache, for runners that start empty.

In: the key of a layer or of a fact. Out: its record, or nothing; a layer's blob only when somebody needs the
bytes. Each is an OCI artifact under a tag of its key: a manifest whose annotation is the record, and whose
one layer is the blob (for a fact, the empty document). Whoever may write there decides what goes into images:
give it the rights of CI.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shipway.build import oci
from shipway.build.attachments.referrers import EMPTY, EMPTY_TYPE
from shipway.build.cache import Cache, key_of
from shipway.build.layers import Layer, read_layer
from shipway.build.registries.places import Places
from shipway.build.registries.reference import is_digest
from shipway.build.registries.registry import Manifest, Repository
from shipway.build.registries.remote_image import fetch_blob
from shipway.build.registries.transfer import Descriptor, upload
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


LAYER_KIND = "application/vnd.shipway.layer.v1"
FACT_KIND = "application/vnd.shipway.fact.v1"
_KEY, _RECORD = "dev.shipway.key", "dev.shipway.record"
_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class RemoteCache:
    """Layers and facts in one repository. `local` is where blobs are read from and brought to."""

    repository: Repository
    local: Cache
    _seen: dict[str, str | None] = field(default_factory=dict)
    """Records asked for in this run."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, key: str) -> Layer | None:
        """The layer of this key, without its blob; None when the registry does not know it."""
        record = self._record(LAYER_KIND, f"cache-{key[:40]}", key)
        if record is None:
            return None
        layer = _layer(record, key)
        Places(self.local, self.repository).remember(layer.digest)
        return layer

    def fact(self, key: str) -> str | None:
        """What is known under this key; None when the registry does not know it."""
        return self._record(FACT_KIND, f"fact-{key[:40]}", key)

    def bring(self, layer: Layer) -> Path:
        """The layer's blob, downloaded unless it is in the local cache."""
        return fetch_blob(self.repository, Descriptor(oci.LAYER, layer.digest, layer.size), self.local)

    def store(self, layers: Iterable[Layer], facts: Mapping[str, str]) -> int:
        """Keep layers that are at hand, and facts; returns how many were new. What is there is not sent."""
        unique = {key_of(layer.made_from): layer for layer in layers}
        empty = self._empty()
        # once, and before all manifests: distribution loses sight of a blob while it is sent again
        upload(self.repository, empty, lambda: self.local.blob(empty.digest))
        with ThreadPoolExecutor(_PARALLEL) as pool:
            jobs = [pool.submit(self._store_layer, key, layer) for key, layer in unique.items()]
            jobs += [pool.submit(self._store_fact, key, text) for key, text in facts.items()]
            return sum(job.result() for job in jobs)

    def _store_layer(self, key: str, layer: Layer) -> bool:
        if self.fetch(key):
            return False
        places = Places(self.local, self.repository)
        blob = Descriptor(oci.LAYER, layer.digest, layer.size)
        upload(self.repository, blob, lambda: self.local.bring(blob.digest), places.source(blob.digest))
        places.remember(blob.digest)
        record = dataclasses.asdict(layer) | {"made_from": {}}
        self._put(LAYER_KIND, f"cache-{key[:40]}", key, json.dumps(record, sort_keys=True), blob)
        return True

    def _store_fact(self, key: str, text: str) -> bool:
        if self.fact(key) is not None:
            return False
        self._put(FACT_KIND, f"fact-{key[:40]}", key, text, None)
        return True

    def _put(self, kind: str, tag: str, key: str, record: str, blob: Descriptor | None) -> None:
        empty = self._empty()
        document = {
            "schemaVersion": 2,
            "mediaType": oci.MANIFEST,
            "artifactType": kind,
            "config": empty.json(),
            "layers": [(blob or empty).json()],
            "annotations": {_KEY: key, _RECORD: record},
        }
        data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        self.repository.put_manifest(Manifest(oci.MANIFEST, "", data), tag)

    def _empty(self) -> Descriptor:
        return Descriptor(EMPTY_TYPE, self.local.store(EMPTY), len(EMPTY))

    def _record(self, kind: str, tag: str, key: str) -> str | None:
        """The record under the tag; None when there is none, or another key's whose tag is the same."""
        asked = f"{kind} {key}"
        if asked not in self._seen:
            found = self.repository.manifest(tag)
            record = _read(found.document(), kind, key) if found else None
            with self._lock:
                self._seen[asked] = record
        return self._seen[asked]


def _read(document: dict[str, Any], kind: str, key: str) -> str | None:
    notes = document.get("annotations") or {}
    if document.get("artifactType") != kind or notes.get(_KEY) != key:
        return None
    return str(notes.get(_RECORD, ""))


def _layer(record: str, key: str) -> Layer:
    try:
        layer = read_layer(json.loads(record) | {"cached": True})
        if not (is_digest(layer.digest) and is_digest(layer.diff_id)):
            raise ValueError(layer.digest)  # noqa: TRY301 - one message for all that is wrong with it
    except (ValueError, TypeError, KeyError) as error:
        raise BuildError(
            f"the build cache holds a record that cannot be used: cache-{key[:40]}: {error}", "delete the tag"
        ) from None
    return layer
