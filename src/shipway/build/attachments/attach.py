"""One platform's image -> the documents that are attached to it: bill of materials and provenance.

In: the image in the cache, and what it was made from. Out: its `Referrer`s, in the cache. The bill is kept by
what it says: the library that writes it takes long to import, and an edit of the project's code changes
nothing in it.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import shipway
from shipway.build.attachments.provenance import PREDICATE, write_provenance
from shipway.build.attachments.referrers import MANIFEST, refer
from shipway.build.cache import digest_of
from shipway.build.debian.debs import Deb
from shipway.build.environments.distributions import Distribution
from shipway.build.registries.descriptor import Descriptor
from shipway_runtime.contract import Source

if TYPE_CHECKING:
    from shipway.build.attachments.referrers import Referrer
    from shipway.build.cache import Cache
    from shipway.build.oci import PlatformImage

BILL = "application/vnd.cyclonedx+json"
STATEMENT = "application/vnd.in-toto+json"
FORMAT = 1
"""Part of every bill's key: counts up when the same values would make other bytes."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What an image was made from, beside what its layers say. `repository` has no tag.

    `parameters` are what the user asked for; secrets have no place there. `there` are distributions that a
    shared base has. `base_name` and `base_digest` ("sha256:…") are of the image below ours: a layout on disk
    has no name, and `minimal` neither.
    """

    repository: str
    source: Source
    parameters: Mapping[str, str]
    debs: tuple[Deb, ...]
    there: tuple[Distribution, ...] = ()
    base_name: str = ""
    base_digest: str = ""


def expect_change() -> None:
    """Say early that a bill will have to be written: what that imports takes 150 ms, in which others wait
    for uv."""
    name = "shipway.build.attachments.sbom"
    if name not in sys.modules:
        threading.Thread(target=importlib.import_module, args=(name,), daemon=True).start()


def attach(image: PlatformImage, origin: Origin, cache: Cache) -> tuple[Referrer, ...]:
    """Write both documents, and the manifests that tie them to the image, into the cache."""
    made = {found for layer in image.layers for found in layer.distributions}
    held = tuple(sorted({*made, *origin.there}))
    subject = Descriptor(MANIFEST, image.digest, image.size)
    bill = _bill(image.platform, origin, held, cache)
    statement = write_provenance(image.digest, origin, held)
    provenance = Descriptor(STATEMENT, cache.store(statement), len(statement))
    return (
        refer(subject, bill, "sbom.cdx.json", cache),
        refer(subject, provenance, "provenance.intoto.json", cache, {"in-toto.io/predicate-type": PREDICATE}),
    )


def _bill(platform: str, origin: Origin, held: tuple[Distribution, ...], cache: Cache) -> Descriptor:
    base = (origin.base_name, origin.base_digest)
    debs = [(deb.purl, deb.sha256) for deb in origin.debs]
    packages = [astuple(distribution) for distribution in held]
    key = digest_of("bill", FORMAT, shipway.__version__, origin.repository, platform, base, debs, packages)
    text = cache.fact(key)
    if text is None:
        from shipway.build.attachments.sbom import write_sbom

        text = write_sbom(origin.repository, platform, origin.debs, held, base).decode()
        cache.keep_fact(key, text)
    return Descriptor(BILL, cache.store(text.encode()), len(text.encode()))
