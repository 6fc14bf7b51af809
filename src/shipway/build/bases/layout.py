"""An OCI layout on disk -> its one image, as if it came from a registry.

In: a directory, such as `shipway build -o` writes. Out: `Layout`: its digest, and each platform's image,
whose blobs are checked against their digests on their way into the cache.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipway.build.attachments.referrers import is_attached
from shipway.build.cache import Cache
from shipway.build.registries.reference import Reference, is_digest
from shipway.build.registries.remote_image import RemoteImage, choose, read_image
from shipway.build.registries.transfer import Descriptor, read_descriptor
from shipway.build.writing import replacing
from shipway.errors import BuildError, TamperedError


@dataclass(frozen=True, slots=True)
class Layout:
    """`digest` is of the image's manifest, or of its index of platforms."""

    directory: Path
    name: str
    digest: str
    cache: Cache

    def image(self, platform: str) -> RemoteImage:
        """The image of a platform. Raises BuildError when there is none."""
        digest, document = self.digest, self._document(self.digest)
        if "manifests" in document:
            digest = choose(document, platform, self.name)
            document = self._document(digest)
        config = self._document(read_descriptor(document["config"]).digest)
        size = (self.directory / "blobs" / digest.replace(":", "/")).stat().st_size
        manifest = Descriptor(str(document.get("mediaType", "")), digest, size)
        reference = Reference("", self.name, None, self.digest)
        image = read_image(reference, platform, manifest, document, config)
        for blob in image.layers:
            self.cache.offer(blob.digest, blob.size, lambda blob=blob: self._bring(blob))  # type: ignore[misc]
        return image

    def _document(self, digest: str) -> dict[str, Any]:
        data = self._file(digest).read_bytes()
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise self._tampered(digest)
        try:
            document = json.loads(data)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise BuildError(f"the base {self.name}: {digest} is no JSON object")
        return document

    def _bring(self, blob: Descriptor) -> Path:
        target, digest = self.cache.blob(blob.digest), hashlib.sha256()
        with self._file(blob.digest).open("rb") as source, replacing(target) as sink:
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                sink.write(chunk)
            if f"sha256:{digest.hexdigest()}" != blob.digest:
                raise self._tampered(blob.digest)
        return target

    def _file(self, digest: str) -> Path:
        file = self.directory / "blobs" / digest.replace(":", "/")
        if not file.is_file():
            raise BuildError(f"the base {self.name} lacks {digest}", "write the layout again")
        return file

    def _tampered(self, digest: str) -> TamperedError:
        return TamperedError(f"the base {self.name}: {digest} has other content than that")


def open_layout(directory: Path, name: str, cache: Cache) -> Layout:
    """The layout in a directory. Raises BuildError when it has no image, or several."""
    try:
        index = json.loads((directory / "index.json").read_bytes())
        found = [m for m in index["manifests"] if not is_attached(m)]
    except FileNotFoundError:
        raise BuildError(
            f"the base {name} is no OCI layout: {directory} has no index.json",
            "`shipway build -o DIR` writes one; for an image of a registry, write its reference",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuildError(f"the base {name}: its index.json cannot be used: {error!r}") from None
    digests = {str(m.get("digest")) for m in found}
    if len(digests) != 1 or not is_digest(digest := digests.pop()):
        raise BuildError(
            f"the base {name}: expected one image in {directory}, saw {len(found)}",
            "write the base alone into a layout of its own: `shipway build --base-only -o DIR`",
        )
    return Layout(directory, name, digest, cache)
