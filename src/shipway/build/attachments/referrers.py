"""Documents about an image -> OCI manifests that refer to it, and the image's own annotations.

In: the image's descriptor, a document in the cache. Out: `Referrer`, whose manifest and blobs are in the
cache, for a layout or a registry. Source: OCI image-spec 1.1, manifest.md (`subject`, `artifactType`, the
empty descriptor) and annotations.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.build.registries.descriptor import Descriptor

if TYPE_CHECKING:
    from shipway.build.cache import Cache

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
_PREFIX = "org.opencontainers.image."
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest with a `subject`. `blobs` are the document, and the empty config."""

    artifact_type: str
    manifest: Descriptor
    blobs: tuple[Descriptor, ...]
    annotations: Mapping[str, str]

    def entry(self) -> dict[str, Any]:
        """What lists of referrers, and the index of a layout, say of it."""
        annotations = {"annotations": dict(self.annotations)} if self.annotations else {}
        return {**self.manifest.json(), "artifactType": self.artifact_type, **annotations}


def refer(
    subject: Descriptor,
    document: Descriptor,
    file: str,
    cache: Cache,
    annotations: Mapping[str, str] = {},
) -> Referrer:
    """Attach a document of the cache, whose media type is the artifact's type, to the subject.

    `file` is the name under which clients save it; `oras pull` saves nothing that has none.
    """
    empty = Descriptor(EMPTY_TYPE, cache.store(EMPTY), len(EMPTY))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": document.media_type,
        "config": empty.json(),
        "layers": [{**document.json(), "annotations": {f"{_PREFIX}title": file}}],
        "subject": subject.json(),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    data = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    own = Descriptor(MANIFEST, cache.store(data), len(data))
    return Referrer(document.media_type, own, (document, empty), annotations)


def is_attached(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a layout's index is a document about an image, and no image itself."""
    return entry.get("artifactType") not in (None, "", CONFIG)


def image_annotations(
    title: str,
    version: str | None = None,
    licence: str | None = None,
    base_name: str = "",
    base_digest: str = "",
) -> dict[str, str]:
    """The image's annotations: what is known, and depends on sources and lock alone.

    Left out: `created`, a clock, by which every build would have a digest of its own; `revision`, by which
    every commit would, and the provenance has it; `source` and `url`, which are of the clone and not of the
    sources, and may hold a password; `authors` and `vendor`, which are nobody's to guess.
    """
    known = {
        "title": title,
        "version": version,
        "licenses": licence,
        "base.name": base_name,
        "base.digest": base_digest,
    }
    return {_PREFIX + key: value for key, value in sorted(known.items()) if value}
