"""The layout: what image-spec 1.1 and `docker load` expect to find."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from shipway.build.attachments.attach import Origin, attach
from shipway.build.cache import Cache
from shipway.build.layers import Entry
from shipway.build.oci import PlatformImage, image_digest, platform_image, write_layout
from shipway.plan.image import Process
from shipway_runtime.contract import Source

PROCESS = Process(
    entrypoint=("/bin/x", "-m", "y"),
    user="65532:65532",
    env={"B": "2", "A": "1"},
    working_dir="/app",
    ports=(8080,),
    volumes=("/data",),
)


def image(cache: Cache, platform: str = "linux/amd64") -> PlatformImage:
    layer = cache.layer("one", {}, lambda: [Entry("a", "file", content=b"a")])
    return platform_image(platform, [layer], PROCESS, {"k": "v"}, cache)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def blob(layout: Path, digest: str) -> Any:
    return read(layout / "blobs" / digest.replace(":", "/"))


def test_layout_is_whole_and_every_blob_is_its_digest(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    layout = tmp_path / "out"
    write_layout(layout, {"a:latest": [image(cache)]}, cache)
    assert read(layout / "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    for file in (layout / "blobs/sha256").iterdir():
        assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name
    top = read(layout / "index.json")["manifests"][0]
    assert top["annotations"]["org.opencontainers.image.ref.name"] == "a:latest"
    manifest = blob(layout, top["digest"])
    config = blob(layout, manifest["config"]["digest"])
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Entrypoint"] == ["/bin/x", "-m", "y"]
    assert config["config"]["Env"] == ["A=1", "B=2"]
    assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"]) == 1


def test_what_is_attached_is_in_the_layout_after_the_images_and_has_no_name(tmp_path: Path) -> None:
    cache, layout = Cache(tmp_path / "cache"), tmp_path / "out"
    origin = Origin("a", Source(None, dirty=False), {}, ())
    images = [
        dataclasses.replace(made, referrers=attach(made, origin, cache))
        for made in (image(cache), image(cache, "linux/arm64"))
    ]
    write_layout(layout, {"a:latest": images, "b:latest": images}, cache)
    top = read(layout / "index.json")["manifests"]
    assert ["artifactType" in entry for entry in top] == [False] * 2 + [True] * 4
    for entry in top[2:]:
        manifest = blob(layout, entry["digest"])
        assert manifest["artifactType"] == entry["artifactType"]
        assert manifest["subject"]["digest"] in {made.digest for made in images}
        for part in (*manifest["layers"], manifest["config"]):
            data = (layout / "blobs" / part["digest"].replace(":", "/")).read_bytes()
            assert len(data) == part["size"]
        assert "org.opencontainers.image.ref.name" not in entry.get("annotations", {})


def test_docker_archive_names_the_same_blobs(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    layout = tmp_path / "out"
    write_layout(layout, {"a:latest": [image(cache)]}, cache)
    (entry,) = read(layout / "manifest.json")
    assert entry["RepoTags"] == ["a:latest"]
    assert all((layout / path).exists() for path in [entry["Config"], *entry["Layers"]])


def test_two_platforms_make_an_index(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    images = [image(cache), image(cache, "linux/arm64")]
    layout = tmp_path / "out"
    write_layout(layout, {"a:latest": images}, cache)
    index = blob(layout, image_digest(images, cache))
    assert [m["platform"]["architecture"] for m in index["manifests"]] == ["amd64", "arm64"]


def test_a_second_layout_replaces_the_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    layout = tmp_path / "out"
    write_layout(layout, {"a:latest": [image(cache)], "b:latest": [image(cache)]}, cache)
    write_layout(layout, {"a:latest": [image(cache)]}, cache)
    assert len(read(layout / "manifest.json")) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "out"]


def test_equal_inputs_equal_digest(tmp_path: Path) -> None:
    one, two = (image(Cache(tmp_path / name)) for name in ("one", "two"))
    assert one.digest == two.digest
