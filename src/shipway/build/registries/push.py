"""Images in the cache -> a registry.

In: the platforms of one image, as oci.py stored them, and the reference to push to, which may be looked at
while the image is still made. Out: `Pushed`: the reference by digest, and how little had to be sent. Blobs go
first, four at a time, then manifests, then the tag, so that nobody ever pulls half an image; last what is
attached to it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.build import oci
from shipway.build.cache import Cache
from shipway.build.registries.attached import missing_referrers, send_referrers
from shipway.build.registries.places import Places
from shipway.build.registries.reference import Reference, parse_reference
from shipway.build.registries.registry import PATIENT, DeniedError, Manifest, Repository, Retries
from shipway.build.registries.transfer import Descriptor, Way, read_descriptor, upload
from shipway.errors import BuildError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shipway.build.oci import PlatformImage

PARALLEL = 4
_THERE: Way = "there"
_WORTH_A_LINE = 5_000_000  # bytes
_FEW = 4  # platforms of the present image that are looked at


@dataclass(frozen=True, slots=True)
class Pushed:
    """What is in the registry now. `existing_blobs` were there before, `mounted_blobs` next door."""

    reference: str
    sent_bytes: int = 0
    sent_blobs: int = 0
    mounted_blobs: int = 0
    existing_blobs: int = 0

    def __str__(self) -> str:
        return (
            f"{self.reference}: sent {self.sent_blobs} blobs of {self.sent_bytes / 1e6:.1f} MB, "
            f"{self.mounted_blobs} mounted, {self.existing_blobs} were there"
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A name to push to, as it was when it was looked at: `held` are blobs of the image that has it.

    Its connection is open, and its credentials were accepted for reading. Use it as a context manager.
    """

    name: Reference
    repository: Repository
    present: Manifest | None
    held: frozenset[str]

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.repository.close()


def look_at(reference: str, environ: Mapping[str, str] = os.environ, retries: Retries = PATIENT) -> Target:
    """What is under the name that an image will be pushed to. Raises BuildError and its kinds."""
    named = parse_reference(reference)
    if named.digest:
        raise BuildError(f"cannot push to {reference}: a digest follows from what is pushed", "name a tag")
    repository = Repository(named, environ, retries=retries)
    try:
        present = repository.manifest(named.wanted)
        held = _held_by(present, repository) if present else frozenset()
    except BaseException:
        repository.close()
        raise
    return Target(named, repository, present, held)


def push(
    images: Sequence[PlatformImage],
    reference: str,
    cache: Cache,
    say: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
    retries: Retries = PATIENT,
) -> Pushed:
    """Push an image of one or several platforms, under the reference's tag or `latest`."""
    with look_at(reference, environ, retries) as target:
        return push_to(target, images, cache, say)


def push_to(
    target: Target, images: Sequence[PlatformImage], cache: Cache, say: Callable[[str], None]
) -> Pushed:
    """Push an image to what was looked at.

    A blob that is not in the cache is brought there only if the registry lacks it.
    """
    digest = oci.image_digest(images, cache)
    manifests = [_manifest(oci.MANIFEST, image.digest, cache) for image in images]
    top = _manifest(oci.MANIFEST if len(images) == 1 else oci.INDEX, digest, cache)
    blobs = _blobs(manifests)
    work = _Push(target.repository, cache, say, target.held)
    if target.present and target.present.digest == digest:
        lacking = missing_referrers(target.repository, images)
        documents = dataclasses.replace(work, held=frozenset()).blobs(_documents(lacking))
        pushed = dict.fromkeys(blobs, _THERE) | documents
    else:
        lacking = [image for image in images if image.referrers]
        pushed = work.image(manifests, top, target.name.wanted, [*blobs, *_documents(lacking)])
    work.attach(lacking)
    return _sum(str(target.name.at(digest)), pushed)


def _held_by(present: Manifest, repository: Repository) -> frozenset[str]:
    """Digests of the blobs of the image that has the tag now: the repository has them, unasked."""
    try:
        if present.media_type == oci.INDEX:
            entries = present.document("manifests")["manifests"][:_FEW]
            children = [repository.manifest(read_descriptor(entry).digest) for entry in entries]
            parts = [part for child in children if child for part in _parts(child)]
        else:
            parts = _parts(present)
    except BuildError:  # something else than an image has the tag, and loses it
        return frozenset()
    return frozenset(part.digest for part in parts)


def _parts(manifest: Manifest) -> list[Descriptor]:
    document = manifest.document("layers", "config")
    return [read_descriptor(part) for part in (*document["layers"], document["config"])]


def _manifest(media_type: str, digest: str, cache: Cache) -> Manifest:
    return Manifest(media_type, digest, cache.blob(digest).read_bytes())


def _blobs(manifests: Sequence[Manifest]) -> list[Descriptor]:
    """Layers and configs of all platforms, each once, the largest first: they take longest."""
    listed = [part for manifest in manifests for part in _parts(manifest)]
    return sorted({blob.digest: blob for blob in listed}.values(), key=lambda blob: -blob.size)


def _documents(images: Sequence[PlatformImage]) -> list[Descriptor]:
    """The blobs of what is attached, each once."""
    return sorted({blob for image in images for referrer in image.referrers for blob in referrer.blobs})


def _sum(reference: str, ways: Mapping[Descriptor, Way]) -> Pushed:
    kinds = list(ways.values())
    sent = sum(blob.size for blob, way in ways.items() if way == "sent")
    return Pushed(reference, sent, kinds.count("sent"), kinds.count("mounted"), kinds.count("there"))


@dataclass(frozen=True, slots=True)
class _Push:
    repository: Repository
    cache: Cache
    say: Callable[[str], None]
    held: frozenset[str]

    def image(
        self, manifests: Sequence[Manifest], top: Manifest, name: str, blobs: Sequence[Descriptor]
    ) -> dict[Descriptor, Way]:
        """All blobs, then the manifests, then the name."""
        pushed = self.blobs(blobs)
        try:
            self.manifests(manifests, top, name)
        except (DeniedError, UnreachableError):
            raise
        except BuildError:  # the registry has lost blobs of an image that it still lists
            unasked = [blob for blob in blobs if blob.digest in self.held]
            pushed |= dataclasses.replace(self, held=frozenset()).blobs(unasked)
            self.manifests(manifests, top, name)
        return pushed

    def attach(self, images: Sequence[PlatformImage]) -> None:
        """The referrers; a registry that takes images alone has the image all the same."""
        try:
            send_referrers(self.repository, images, self.cache)
        except (DeniedError, UnreachableError):
            raise
        except BuildError as error:
            self.say(f"pushed, but without its bill of materials and provenance: {error}")

    def manifests(self, manifests: Sequence[Manifest], top: Manifest, name: str) -> None:
        """Those of an index by their digests, then the one that gets the name."""
        for manifest in manifests:
            if manifest.digest != top.digest:
                self.repository.put_manifest(manifest, manifest.digest)
        self.repository.put_manifest(top, name)

    def blobs(self, blobs: Sequence[Descriptor]) -> dict[Descriptor, Way]:
        with ThreadPoolExecutor(PARALLEL) as pool:
            jobs = {blob: pool.submit(self._blob, blob) for blob in blobs}
            try:
                return {blob: job.result() for blob, job in jobs.items()}
            finally:
                pool.shutdown(cancel_futures=True)

    def _blob(self, blob: Descriptor) -> Way:
        if blob.digest in self.held:
            return "there"
        places = Places(self.cache, self.repository)
        try:
            way = upload(self.repository, blob, lambda: self._file(blob), places.source(blob.digest))
        except DeniedError:
            raise
        except BuildError:
            self.cache.refuse_damaged(blob.digest)
            raise
        places.remember(blob.digest)
        if way == "sent" and blob.size >= _WORTH_A_LINE:
            self.say(f"sent {blob.digest[:19]}, {blob.size / 1e6:.1f} MB, to {self.repository}")
        return way

    def _file(self, blob: Descriptor) -> Path:
        return self.cache.bring(blob.digest)
