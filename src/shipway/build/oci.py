"""Layers and a process -> an OCI image, in a layout directory that `docker load` takes as well.

In: `Layer`s in the cache, and the plan's process. Out: config, manifest and index blobs, and a directory
with `oci-layout`, `index.json` and, for engines that know only Docker's archives, `manifest.json`. No time,
host or user is written: equal layers make an equal digest. Source: OCI image-spec 1.1.
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.build.attachments.referrers import CONFIG as CONFIG
from shipway.build.attachments.referrers import MANIFEST as MANIFEST
from shipway.build.attachments.referrers import Referrer
from shipway.build.interruption import temporary
from shipway.build.layers import MEDIA_TYPE, Layer
from shipway.build.writing import UNFINISHED, disk_errors, remove_stale
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shipway.build.cache import Cache
    from shipway.plan.image import Process

INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = MEDIA_TYPE
MOST_LAYERS = 127
EPOCH = "1970-01-01T00:00:00Z"
"""The time of every image: a clock would make another digest of the same sources."""


_LAYERS = {
    LAYER: LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER,
    "application/vnd.oci.image.layer.v1.tar+zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.v1.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}
"""Types of layers that others made -> the type of the same bytes in an OCI manifest."""


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """One platform's image: the digest and size of its manifest, its config's digest, its layers.

    `referrers` are the documents that are attached to it.
    """

    platform: str
    digest: str
    size: int
    config: str
    layers: tuple[Layer, ...]
    referrers: tuple[Referrer, ...] = ()

    @property
    def unpacked(self) -> int:
        """Bytes of all files in all layers."""
        return sum(layer.unpacked for layer in self.layers)

    @property
    def compressed(self) -> int:
        """Bytes of all layers as they travel."""
        return sum(layer.size for layer in self.layers)


def platform_image(
    platform: str, layers: Sequence[Layer], process: Process, annotations: dict[str, str], cache: Cache
) -> PlatformImage:
    """Write one platform's config and manifest into the cache."""
    if len(layers) > MOST_LAYERS:
        raise BuildError(
            f"the image would have {len(layers)} layers, and engines take {MOST_LAYERS}",
            "its base has too many: flatten that, or take another",
        )
    config = cache.store(_json(_config(platform, layers, process, annotations)))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, config, cache),
        "layers": [{"mediaType": la.media_type, "digest": la.digest, "size": la.size} for la in layers],
        "annotations": annotations,
    }
    digest = cache.store(_json(manifest))
    return PlatformImage(platform, digest, cache.blob(digest).stat().st_size, config, tuple(layers))


def _config(
    platform: str, layers: Sequence[Layer], process: Process, annotations: dict[str, str]
) -> dict[str, Any]:
    system, architecture = platform.split("/")
    return {
        "architecture": architecture,
        "os": system,
        "created": EPOCH,
        "config": {
            "User": process.user,
            "Env": [f"{key}={value}" for key, value in sorted(process.env.items())],
            "Entrypoint": list(process.entrypoint),
            "WorkingDir": process.working_dir,
            "ExposedPorts": {f"{port}/tcp": {} for port in process.ports},
            "Labels": {**process.labels, **annotations},
            "StopSignal": "SIGTERM",
            **({"Volumes": {path: {} for path in process.volumes}} if process.volumes else {}),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": EPOCH, "created_by": f"shipway: {layer.name}"} for layer in layers],
    }


def layer_type(media_type: str, name: str) -> str:
    """The type that a base's layer has in our manifest. Raises BuildError for what no engine would unpack."""
    if media_type not in _LAYERS:
        raise BuildError(
            f"the base {name} has a layer of the type {media_type!r}, which cannot be taken over",
            "take an image with layers of tar, plain or compressed by gzip or zstd",
        )
    return _LAYERS[media_type]


def image_digest(images: Sequence[PlatformImage], cache: Cache) -> str:
    """The digest that names the image: one platform's manifest, or the index of several."""
    if len(images) == 1:
        return images[0].digest
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [_descriptor(MANIFEST, i.digest, cache) | {"platform": _platform(i)} for i in images],
    }
    return cache.store(_json(index))


def write_layout(directory: Path, images: Mapping[str, Sequence[PlatformImage]], cache: Cache) -> None:
    """Write images, by their references, as one OCI layout; it is replaced when all of it is there.

    What is attached to them is in the index after them, by no name. Blobs are hard links into the cache where
    the file system allows it. Raises BuildError when something else is there, or the disk takes no more.
    """
    with disk_errors(directory.parent, "name another directory with -o DIR"):
        _write_layout(directory.resolve(), images, cache)


def _write_layout(directory: Path, images: Mapping[str, Sequence[PlatformImage]], cache: Cache) -> None:
    _refuse_foreign(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(directory.parent.glob(f"{UNFINISHED}*"))
    with temporary(lambda: Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=directory.parent))) as beside:
        made = beside / "layout"
        digests = {reference: image_digest(platforms, cache) for reference, platforms in images.items()}
        parts = {blob for platforms in images.values() for image in platforms for blob in _blobs(image)}
        for blob in parts | set(digests.values()):
            _link(cache.bring(blob), made / "blobs" / blob.replace(":", "/"))
        top = [_named(ref, images[ref], digest, cache) for ref, digest in digests.items()]
        archives = [_docker_archive(platforms[0], ref) for ref, platforms in images.items()]
        (made / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        entries = [*top, *_attached(images)]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        (made / "index.json").write_bytes(_json(index))
        (made / "manifest.json").write_bytes(_json(archives))
        _exchange(made, directory, beside)


def _refuse_foreign(directory: Path) -> None:
    """Whatever else is there is somebody's, and would be lost."""
    is_layout = (directory / "oci-layout").is_file() or not directory.exists()
    if not is_layout and not (directory.is_dir() and not any(directory.iterdir())):
        raise BuildError(
            f"{directory} is there and is no OCI layout, so it is not replaced",
            "name a new directory, an empty one or an older layout with -o DIR",
        )


def _exchange(made: Path, directory: Path, beside: Path) -> None:
    """Put `made` into the place of what is there; another build may do the same, and the last one stays."""
    number = 0
    while True:
        with suppress(FileNotFoundError):
            directory.rename(beside / f"old-{number}")
        try:
            made.rename(directory)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            number += 1
        else:
            return


def _named(reference: str, images: Sequence[PlatformImage], digest: str, cache: Cache) -> dict[str, Any]:
    kind = MANIFEST if len(images) == 1 else INDEX
    named = {"annotations": {"org.opencontainers.image.ref.name": reference}}
    platform = {"platform": _platform(images[0])} if len(images) == 1 else {}
    return _descriptor(kind, digest, cache) | named | platform


def _attached(images: Mapping[str, Sequence[PlatformImage]]) -> list[dict[str, Any]]:
    """Each once: two references may name one image."""
    referrers = [r for platforms in images.values() for image in platforms for r in image.referrers]
    return list({referrer.manifest.digest: referrer.entry() for referrer in referrers}.values())


def _docker_archive(image: PlatformImage, reference: str) -> dict[str, Any]:
    return {
        "Config": f"blobs/{image.config.replace(':', '/')}",
        "RepoTags": [reference],
        "Layers": [f"blobs/{layer.digest.replace(':', '/')}" for layer in image.layers],
    }


def _blobs(image: PlatformImage) -> list[str]:
    documents = [part.digest for r in image.referrers for part in (r.manifest, *r.blobs)]
    return [image.digest, image.config, *(layer.digest for layer in image.layers), *documents]


def _platform(image: PlatformImage) -> dict[str, str]:
    system, architecture = image.platform.split("/")
    return {"architecture": architecture, "os": system}


def _descriptor(media_type: str, digest: str, cache: Cache) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": cache.blob(digest).stat().st_size}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
