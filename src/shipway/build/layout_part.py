"""A part of an OCI layout: some of its images, each for one platform, under names of their own.

In: a layout as `oci.write_layout` makes it. Out: what an engine may call an image that it has, and a layout
of what it lacks. Nothing else of the layout travels, and an engine that takes only Docker's archives gets its
own platform.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.build.oci import INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Part:
    """An image of one platform. `digest` is what a release names: of this image, or of an index above it."""

    digest: str
    manifest: str
    config: str

    @property
    def ids(self) -> frozenset[str]:
        """An engine names an image by its config, or, with containerd's store, by its manifest or index."""
        return frozenset({self.digest, self.manifest, self.config})


def find(layout: Path, digest: str, platform: str) -> Part | None:
    """The image for a platform; None where the layout has none of this digest.

    Raises LookupError, with the platforms that there are, where it is made for others alone.
    """
    try:
        document = _read(layout, digest)
    except FileNotFoundError:
        return None
    if document.get("mediaType") != INDEX:
        config = _read(layout, document["config"]["digest"])
        platforms = {f"{config['os']}/{config['architecture']}": digest}
    else:
        platforms = {
            f"{e['platform']['os']}/{e['platform']['architecture']}": e["digest"]
            for e in document["manifests"]
        }
    if platform not in platforms:
        raise LookupError(", ".join(platforms))
    manifest = platforms[platform]
    return Part(digest, manifest, _read(layout, manifest)["config"]["digest"])


def write_part(layout: Path, parts: Mapping[str, Part], directory: Path) -> None:
    """A layout in `directory`, which is empty, of these images by the names that they get."""
    entries, archives = [], []
    for name, part in parts.items():
        manifest = _read(layout, part.manifest)
        layers = [layer["digest"] for layer in manifest["layers"]]
        for blob in (part.manifest, part.config, *layers):
            _link(layout / _path(blob), directory / _path(blob))
        size = (layout / _path(part.manifest)).stat().st_size
        described = {"mediaType": manifest["mediaType"], "digest": part.manifest, "size": size}
        entries.append(described | {"annotations": {_NAME: name}})
        archives.append(
            {"Config": _path(part.config), "RepoTags": [name], "Layers": [_path(layer) for layer in layers]}
        )
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "manifest.json").write_text(json.dumps(archives))


def _read(layout: Path, digest: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((layout / _path(digest)).read_bytes())
    return document


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
