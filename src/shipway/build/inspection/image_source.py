"""A reference -> an image that can be looked at: `open_image`.

In: a project, a directory with an OCI layout, a tar file of either kind, the name of an image that an engine
has, or else of one in a registry. Out: `ImageSource`: its config and the contents of each layer. Every layer
is read as a stream, once, and nothing is written: what comes out of `docker save` is never on disk.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from shipway.build.attachments.referrers import is_attached
from shipway.build.inspection.contents import DOCUMENT, Contents, read_contents, readable
from shipway.build.inspection.local_blobs import (
    DirectoryBlobs,
    blob_path,
    read_archive,
    read_json,
    read_saved,
)
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.build.cache import Cache
    from shipway.build.layers import Layer
    from shipway.build.oci import PlatformImage

ENGINES = ("docker", "podman")
IMAGES = ".shipway/images"
"""Where `shipway build` writes a project's images."""

_REGISTRY = re.compile(r"(localhost|[^/]*[.:\[][^/]*)/.")
_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class SourceLayer:
    """One layer: its blob's digest and bytes as found, its tar's digest, what made it, what is in it."""

    digest: str
    diff_id: str
    size: int
    created_by: str
    contents: Contents


@dataclass(frozen=True, slots=True)
class ImageSource:
    """One platform's image.

    `digest` is the manifest's, empty where the source has none; `image_id` is the config's. `others` are the
    names of further images that were beside it. `referrers` are the descriptors of what is attached to it.
    """

    reference: str
    digest: str
    image_id: str
    platform: str
    config: Mapping[str, Any]
    layers: tuple[SourceLayer, ...]
    others: tuple[str, ...] = ()
    referrers: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which of several images, which of its platforms, and which of its layers; None: the first, all."""

    image: str | None
    platform: str | None
    layers: re.Pattern[str] | None


def open_image(
    reference: str,
    image: str | None = None,
    platform: str | None = None,
    keep: re.Pattern[str] = DOCUMENT,
    layers: re.Pattern[str] | None = None,
) -> ImageSource:
    """The image of a path, of an engine, of a registry. Raises BuildError if there is none, or it is damaged.

    Of several images `image` chooses by name, else the first: an agent's own. `platform` is "linux/amd64".
    `keep` are the paths whose text the layers' contents have. `layers` are those to read, by what made them,
    where not all are wanted: of a registry the others are not fetched.
    """
    chosen = _Chosen(image, platform, layers)
    path = Path(reference)
    if path.is_dir():
        return _read(DirectoryBlobs(_layout(path), keep), chosen, str(path))
    if path.is_file():
        with path.open("rb") as stream:
            return _read(read_archive(stream, str(path), keep), chosen, str(path))
    for program in filter(shutil.which, ENGINES):
        inspect = subprocess.run([program, "image", "inspect", reference], capture_output=True, check=False)
        if inspect.returncode == 0:
            return _read(read_saved(program, reference, keep), chosen, reference)
    return _remote(reference, chosen, keep)


def built_image(reference: str, image: PlatformImage, cache: Cache) -> ImageSource:
    """An image that was just made, whose blobs are in the cache: no layout is needed to look at it."""
    return ImageSource(
        reference=reference,
        digest=image.digest,
        image_id=image.config,
        platform=image.platform,
        config=read_json(cache.blob(image.config).read_bytes(), reference),
        layers=tuple(_built_layer(layer, cache) for layer in image.layers),
    )


def _built_layer(layer: Layer, cache: Cache) -> SourceLayer:
    with cache.bring(layer.digest).open("rb") as blob:
        contents = read_contents(blob, layer.name)
    return SourceLayer(layer.digest, layer.diff_id, layer.size, f"shipway: {layer.name}", contents)


def _remote(reference: str, chosen: _Chosen, keep: re.Pattern[str]) -> ImageSource:
    """The image of a registry, if the reference names one: a mistyped file is not looked for out there."""
    if not _REGISTRY.match(reference):
        raise BuildError(
            f"there is no file or directory {reference}, and no container engine here has such an image",
            "name its registry to look there: registry.example.com/team/agent:1.2",
        )
    from shipway.build.registries.reference import parse_reference
    from shipway.build.registries.remote_blobs import remote

    with remote(parse_reference(reference), os.environ, keep) as blobs:
        return _read(blobs, chosen, reference)


def _layout(path: Path) -> Path:
    for layout in (path, path / IMAGES):
        if (layout / "index.json").is_file() or (layout / "manifest.json").is_file():
            return layout
    raise BuildError(
        f"{path} has no image: neither an OCI layout nor {IMAGES}", "run `shipway build` there first"
    )


# -- Where blobs are -----------------------------------------------------------------------------------------


class _Blobs(Protocol):
    """Files of an image layout, by their path in it: local_blobs.py, remote_blobs.py."""

    def document(self, path: str) -> Any:
        """The JSON value, or None where there is no such file."""

    def contents(self, path: str) -> tuple[int, Contents]:
        """A layer's bytes as it is there, and what it holds."""

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """The descriptors, with `artifactType`, of what is attached to this manifest."""


# -- What the blobs say --------------------------------------------------------------------------------------


def _read(blobs: _Blobs, chosen: _Chosen, source: str) -> ImageSource:
    try:
        if (index := blobs.document("index.json")) is not None:
            return _read_oci(blobs, index, chosen, source)
        if (archive := blobs.document("manifest.json")) is not None:
            return _read_docker(blobs, archive, chosen, source)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise BuildError(f"{source} is not laid out as an image should be: {error!r}") from error
    raise BuildError(f"{source} has neither index.json nor manifest.json: no image")


def _read_oci(blobs: _Blobs, index: Any, chosen: _Chosen, source: str) -> ImageSource:
    images = [entry for entry in index["manifests"] if not is_attached(entry)]
    names = [str(entry.get("annotations", {}).get(_NAME, "")) for entry in images]
    place = _place(names, chosen.image, source)
    descriptor = images[place]
    document = blobs.document(blob_path(descriptor["digest"]))
    while "manifests" in document:
        descriptor = _for_platform(document["manifests"], chosen.platform, source)
        document = blobs.document(blob_path(descriptor["digest"]))
    config = blobs.document(blob_path(document["config"]["digest"]))
    layers = [(str(la["digest"]), blob_path(la["digest"])) for la in document["layers"]]
    return ImageSource(
        reference=readable(names[place] or source),
        digest=str(descriptor["digest"]),
        image_id=str(document["config"]["digest"]),
        platform=_platform(config, chosen.platform, source),
        config=config,
        layers=tuple(_layers(blobs, config, layers, chosen)),
        others=tuple(readable(n) for i, n in enumerate(names) if i != place and n),
        referrers=tuple(blobs.referrers(str(descriptor["digest"]))),
    )


def _read_docker(blobs: _Blobs, archive: Any, chosen: _Chosen, source: str) -> ImageSource:
    names = [str((entry.get("RepoTags") or [""])[0]) for entry in archive]
    place = _place(names, chosen.image, source)
    entry = archive[place]
    config = blobs.document(entry["Config"])
    layers = list(zip(map(str, config["rootfs"]["diff_ids"]), map(str, entry["Layers"]), strict=True))
    hexadecimal = str(entry["Config"]).rpartition("/")[2].removesuffix(".json")
    return ImageSource(
        reference=readable(names[place] or source),
        digest="",
        image_id=f"sha256:{hexadecimal}",
        platform=_platform(config, None, source),
        config=config,
        layers=tuple(_layers(blobs, config, layers, chosen)),
        others=tuple(readable(n) for i, n in enumerate(names) if i != place and n),
    )


def _layers(
    blobs: _Blobs, config: Any, layers: list[tuple[str, str]], chosen: _Chosen
) -> Iterator[SourceLayer]:
    made = [str(h.get("created_by", "")) for h in config.get("history") or () if not h.get("empty_layer")]
    made += [""] * (len(layers) - len(made))
    for (digest, path), diff_id, created_by in zip(layers, config["rootfs"]["diff_ids"], made, strict=False):
        if chosen.layers and not chosen.layers.match(created_by):
            continue
        size, contents = blobs.contents(path)
        yield SourceLayer(digest, str(diff_id), size, readable(" ".join(created_by.split())), contents)


def _place(names: list[str], image: str | None, source: str) -> int:
    if not names:
        raise BuildError(f"{source} has no image")
    if image is None:
        return 0
    for position, name in enumerate(names):
        plain = name.rpartition("@")[0] or name
        if image in (name, plain.rpartition("/")[2], plain.rpartition("/")[2].partition(":")[0]):
            return position
    raise BuildError(f"{source} has no image {image!r}; there is: {', '.join(map(readable, names))}")


def _for_platform(manifests: list[Any], platform: str | None, source: str) -> Any:
    """The manifest of the platform, else the first that is an image; attestations are none."""
    named = {
        f"{m['platform']['os']}/{m['platform']['architecture']}": m
        for m in reversed(manifests)
        if m.get("platform", {}).get("os", "unknown") != "unknown"
    }
    if platform in named:
        return named[str(platform)]
    if platform is None:
        return next(reversed(named.values()), manifests[0])
    raise BuildError(f"{source} is not there for {platform}, but for {', '.join(sorted(named))}")


def _platform(config: Any, wanted: str | None, source: str) -> str:
    platform = readable(f"{config['os']}/{config['architecture']}")
    if wanted not in (None, platform):
        raise BuildError(f"{source} is not there for {wanted}, but for {platform}")
    return platform
