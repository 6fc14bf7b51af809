"""Documents about an image -> OCI manifests that refer to it, and the image's own annotations.

In: the image's descriptor, a document. Out: `Referrer`, a manifest and the blobs that it needs, for a layout
or a registry. Source: OCI image-spec 1.1, manifest.md (`subject`, `artifactType`, the empty descriptor) and
annotations.md.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What names a blob or a manifest; `size` in bytes."""

    media_type: str
    digest: str
    size: int

    def json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest with a `subject`, and its blobs: the document, and the empty config."""

    artifact_type: str
    manifest: bytes
    blobs: tuple[bytes, ...]

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(MANIFEST, digest_of(self.manifest), len(self.manifest))


def refer(subject: Descriptor, artifact_type: str, document: bytes) -> Referrer:
    """The document, attached to the subject."""
    manifest = referrer_manifest(subject, artifact_type, digest_of(document), len(document))
    return Referrer(artifact_type, manifest, (document, EMPTY))


def referrer_manifest(subject: Descriptor, artifact_type: str, blob_digest: str, size: int) -> bytes:
    """The manifest that attaches one blob, whose media type is the artifact's type, to the subject."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": Descriptor(EMPTY_TYPE, digest_of(EMPTY), len(EMPTY)).json(),
        "layers": [Descriptor(artifact_type, blob_digest, size).json()],
        "subject": subject.json(),
    }
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


_PREFIX = "org.opencontainers.image."


def image_annotations(
    title: str,
    version: str | None = None,
    licence: str | None = None,
    revision: str | None = None,
    base_name: str | None = None,
    base_digest: str | None = None,
) -> dict[str, str]:
    """The image's annotations: what is known, and depends on sources and lock alone.

    Left out: `created`, a clock, by which every build would have a digest of its own; `source` and `url`,
    which are of the clone and not of the sources, and may hold a password; `authors` and `vendor`, which are
    nobody's to guess. `revision` moves the digest with every commit, also with one that moves nothing in the
    image: the provenance has it in any case, so give it here only where that is wanted.
    """
    known = {
        "title": title,
        "version": version,
        "licenses": licence,
        "revision": revision,
        "base.name": base_name,
        "base.digest": base_digest,
    }
    return {_PREFIX + key: value for key, value in sorted(known.items()) if value}
