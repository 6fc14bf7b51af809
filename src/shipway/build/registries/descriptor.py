"""What names a blob or a manifest, in OCI's documents: media type, digest, size.

In: a value of a manifest, or bytes. Out: `Descriptor`. Source: OCI image-spec 1.1, descriptor.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shipway.build.registries.reference import is_digest
from shipway.errors import BuildError


@dataclass(frozen=True, slots=True, order=True)
class Descriptor:
    """Size in bytes."""

    media_type: str
    digest: str
    size: int

    def json(self) -> dict[str, Any]:
        """As manifests hold it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def read_descriptor(value: object) -> Descriptor:
    """A descriptor from a manifest; whatever is not exactly one is refused, as its digest becomes a path."""
    fields = value if isinstance(value, dict) else {}
    digest, size = fields.get("digest"), fields.get("size")
    if not is_digest(digest) or type(size) is not int or size < 0:
        raise BuildError(f"a manifest holds a descriptor that cannot be used: {str(value)[:200]}")
    return Descriptor(str(fields.get("mediaType", "")), str(digest), size)
