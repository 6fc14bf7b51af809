"""One platform of some images of a layout."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from shipway.build import layout_part
from shipway.build.layout_part import Part
from shipway.build.oci import INDEX, MANIFEST


class Layout:
    """A layout of documents alone, as oci.py writes it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs/sha256").mkdir(parents=True)

    def blob(self, value: Any) -> str:
        data = json.dumps(value).encode()
        name = hashlib.sha256(data).hexdigest()
        (self.root / "blobs/sha256" / name).write_bytes(data)
        return f"sha256:{name}"

    def image(self, platform: str) -> Part:
        system, architecture = platform.split("/")
        config = self.blob({"os": system, "architecture": architecture})
        layers = [{"digest": self.blob(f"layer of {platform}")}]
        manifest = self.blob({"mediaType": MANIFEST, "config": {"digest": config}, "layers": layers})
        return Part(manifest, manifest, config)

    def index(self, *platforms: str) -> tuple[str, list[Part]]:
        parts = [self.image(platform) for platform in platforms]
        entries = [
            {
                "digest": part.manifest,
                "platform": dict(zip(("os", "architecture"), p.split("/"), strict=True)),
            }
            for part, p in zip(parts, platforms, strict=True)
        ]
        return self.blob({"mediaType": INDEX, "manifests": entries}), parts


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def test_an_image_of_one_platform_is_itself(layout: Layout) -> None:
    made = layout.image("linux/amd64")
    assert layout_part.find(layout.root, made.digest, "linux/amd64") == made
    with pytest.raises(LookupError, match="linux/amd64"):
        layout_part.find(layout.root, made.digest, "linux/arm64")


def test_of_several_platforms_it_is_the_engines(layout: Layout) -> None:
    digest, (_, arm) = layout.index("linux/amd64", "linux/arm64")
    assert layout_part.find(layout.root, digest, "linux/arm64") == Part(digest, arm.manifest, arm.config)


def test_a_build_that_is_gone_is_none(layout: Layout) -> None:
    assert layout_part.find(layout.root, "sha256:" + "0" * 64, "linux/amd64") is None
    assert layout_part.find(layout.root / "gone", "sha256:" + "0" * 64, "linux/amd64") is None


def test_a_part_has_nothing_of_the_others(layout: Layout, tmp_path: Path) -> None:
    digest, (amd, arm) = layout.index("linux/amd64", "linux/arm64")
    part = layout_part.find(layout.root, digest, "linux/arm64")
    assert part
    layout_part.write_part(layout.root, {"here:1": part}, made := tmp_path / "made")
    blobs = {f"sha256:{path.name}" for path in (made / "blobs/sha256").iterdir()}
    assert {arm.manifest, arm.config} < blobs
    assert not {amd.manifest, amd.config, digest} & blobs
    (entry,) = json.loads((made / "index.json").read_text())["manifests"]
    (archive,) = json.loads((made / "manifest.json").read_text())
    assert entry["digest"] == arm.manifest
    assert archive["RepoTags"] == ["here:1"]
    assert (made / archive["Config"]).is_file()
