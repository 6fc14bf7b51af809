"""What is attached to an image: sent to its registry, and listed from it.

In: a repository, and referrers in the cache. Out: their manifests are there, and are found by the digest of
their subject: through the referrers API, and where a registry has none through the tag `sha256-<hex>`, an
index that clients keep. Others' entries stay. Source: OCI distribution-spec 1.1, "Pushing Manifests with
Subject", "Listing Referrers".
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from shipway.build.oci import INDEX
from shipway.build.registries.registry import Ask, Manifest
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import httpx2

    from shipway.build.attachments.referrers import Referrer
    from shipway.build.cache import Cache
    from shipway.build.oci import PlatformImage
    from shipway.build.registries.registry import Repository

PARALLEL = 4
_PAGES = 20
_NO_API = (400, 404, 405, 501)
"""What registries answer that do not know the API; the specification says 404."""


def list_referrers(repository: Repository, digest: str) -> list[dict[str, Any]]:
    """The entries, descriptors with `artifactType`, of all that refers to this manifest."""
    response = repository.send(Ask("GET", f"referrers/{digest}"), allow=(200, *_NO_API))
    if not _is_index(response):
        present = repository.manifest(fallback_tag(digest))
        return _entries(present.data) if present and present.media_type == INDEX else []
    found = _entries(response.content)
    for _ in range(_PAGES):
        if not (following := response.links.get("next", {}).get("url")):
            break
        response = repository.send(Ask("GET", following), allow=(200,))
        found += _entries(response.content)
    return found


def missing_referrers(repository: Repository, images: Iterable[PlatformImage]) -> list[PlatformImage]:
    """The images of which the registry lacks a referrer."""

    def lacks(image: PlatformImage) -> bool:
        there = {entry.get("digest") for entry in list_referrers(repository, image.digest)}
        return any(referrer.manifest.digest not in there for referrer in image.referrers)

    attached = [image for image in images if image.referrers]
    with ThreadPoolExecutor(PARALLEL) as pool:
        return [i for i, lacking in zip(attached, pool.map(lacks, attached), strict=True) if lacking]


def send_referrers(repository: Repository, images: Sequence[PlatformImage], cache: Cache) -> None:
    """Send the manifests, whose blobs are there, and see that they are listed."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        pairs = [(image, referrer) for image in images for referrer in image.referrers]
        listed = list(pool.map(lambda pair: _send(repository, pair[1], cache), pairs))
        unlisted = {i.digest: i for (i, _), known in zip(pairs, listed, strict=True) if not known}
        list(pool.map(lambda image: _list(repository, image), unlisted.values()))


def fallback_tag(digest: str) -> str:
    """The tag of the index that stands for the API."""
    return digest.replace(":", "-")


def _send(repository: Repository, referrer: Referrer, cache: Cache) -> bool:
    """Whether the registry says that it lists what it took."""
    digest, kind = referrer.manifest.digest, referrer.manifest.media_type
    return repository.put_manifest(Manifest(kind, digest, cache.blob(digest).read_bytes()), digest)


def _list(repository: Repository, image: PlatformImage) -> None:
    """Add the image's referrers to the index under the tag, unless they are in it."""
    tag = fallback_tag(image.digest)
    present = repository.manifest(tag)
    if present and present.media_type != INDEX:
        raise BuildError(
            f"{repository}: the tag {tag} is for the list of what is attached to the image, but names "
            f"{present.media_type or 'something without a media type'}",
            "delete the tag, and push again",
        )
    index = present.document("manifests") if present else {"schemaVersion": 2, "mediaType": INDEX}
    entries = _entries(present.data) if present else []
    there = {entry.get("digest") for entry in entries}
    added = [r.entry() for r in image.referrers if r.manifest.digest not in there]
    if added:
        data = json.dumps({**index, "manifests": [*entries, *added]}, separators=(",", ":")).encode()
        repository.put_manifest(Manifest(INDEX, f"sha256:{hashlib.sha256(data).hexdigest()}", data), tag)


def _is_index(response: httpx2.Response) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    return response.status_code == 200 and kind == INDEX


def _entries(data: bytes) -> list[dict[str, Any]]:
    document = Manifest(INDEX, "list of referrers", data).document("manifests")
    return [entry for entry in document["manifests"] if isinstance(entry, dict)]
