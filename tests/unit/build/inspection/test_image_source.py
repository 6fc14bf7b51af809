"""Images are found in directories and tars of every kind, and told apart by name and platform."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from tests.layout import attach, docker_archive, write_layout

from shipway.build.inspection.image_source import open_image
from shipway.build.layout_server import serve
from shipway.errors import BuildError, TamperedError

LAYERS = [{"a": b"123"}, {"b": b"4567"}]


def test_a_project_and_its_layout_are_the_same_image(tmp_path: Path) -> None:
    write_layout(tmp_path / ".shipway/images", {"support:latest": LAYERS})
    project, layout = open_image(str(tmp_path)), open_image(str(tmp_path / ".shipway/images"))
    assert project == layout
    assert project.reference == "support:latest"
    assert project.digest.startswith("sha256:")
    assert [layer.contents.unpacked for layer in project.layers] == [3, 4]
    assert [layer.created_by for layer in project.layers] == ["shipway: layer 0", "shipway: layer 1"]


def test_of_several_images_the_first_unless_named(tmp_path: Path) -> None:
    write_layout(tmp_path, {"r.example.com/a:1": LAYERS, "r.example.com/a-mcp-git:1": LAYERS[:1]})
    assert open_image(str(tmp_path)).others == ("r.example.com/a-mcp-git:1",)
    for name in ("a-mcp-git", "a-mcp-git:1", "r.example.com/a-mcp-git:1"):
        assert len(open_image(str(tmp_path), name).layers) == 1
    with pytest.raises(BuildError, match=r"no image 'b'; there is: r.example.com/a:1, "):
        open_image(str(tmp_path), "b")


def test_of_several_platforms_the_first_unless_named(tmp_path: Path) -> None:
    write_layout(tmp_path, {"a": LAYERS}, platforms=("linux/amd64", "linux/arm64"))
    assert open_image(str(tmp_path)).platform == "linux/amd64"
    assert open_image(str(tmp_path), platform="linux/arm64").platform == "linux/arm64"
    with pytest.raises(BuildError, match=r"not there for linux/s390x, but for linux/amd64, linux/arm64"):
        open_image(str(tmp_path), platform="linux/s390x")


def test_what_is_attached_is_no_image_and_is_found_by_its_subject(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", {"a:1": LAYERS, "b:1": LAYERS[:1]})
    index = json.loads((layout / "index.json").read_text())
    digests = [entry["digest"] for entry in index["manifests"]]
    attached = [attach(layout, digest, f"example/{n}") for n, digest in enumerate(digests)]
    index["manifests"] = [*attached, *index["manifests"]]
    (layout / "index.json").write_text(json.dumps(index))
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(layout, arcname=".")
    for place in (layout, archive):
        first = open_image(str(place))
        assert (first.reference, first.digest, first.others) == ("a:1", digests[0], ("b:1",))
        assert first.referrers == (attached[0],)
        assert open_image(str(place), "b").referrers == (attached[1],)
    attached[0]["digest"] = "sha256:../../index.json"
    (layout / "index.json").write_text(json.dumps({"manifests": [*attached, *index["manifests"]]}))
    with pytest.raises(BuildError, match="not laid out as an image should be"):
        open_image(str(layout))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_tar_of_a_layout_is_the_same_as_the_layout(tmp_path: Path, pack: type[bytes]) -> None:
    layout = write_layout(tmp_path / "layout", {"a:1": LAYERS})
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        archive.add(layout, arcname=".")
    (tmp_path / "a.tar").write_bytes(pack(sink.getvalue()))
    assert open_image(str(tmp_path / "a.tar")) == open_image(str(layout))


def test_an_archive_of_an_old_engine_whose_manifest_comes_last(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(docker_archive("a:1", [*LAYERS, LAYERS[0]]))
    image = open_image(str(file))
    assert (image.reference, image.digest) == ("a:1", "")
    assert [set(layer.contents.files) for layer in image.layers] == [{"a"}, {"b"}, {"a"}]
    assert {layer.contents.compression for layer in image.layers} == {"none"}
    written = write_layout(tmp_path / "layout", {"a:1": [*LAYERS, LAYERS[0]]})
    assert [la.diff_id for la in image.layers] == [la.diff_id for la in open_image(str(written)).layers]


def test_what_is_no_image_is_said(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has no image: neither an OCI layout nor"):
        open_image(str(tmp_path))
    (tmp_path / "x.tar").write_bytes(b"text" * 1000)
    with pytest.raises(BuildError, match="is no image archive, or it is damaged"):
        open_image(str(tmp_path / "x.tar"))
    with pytest.raises(BuildError, match="no file or directory agnet:1"):
        open_image("agnet:1")


@pytest.mark.parametrize(
    "index",
    ["[", "[]", "{}", '{"manifests": [{"digest": "sha256:../../etc"}]}', '{"manifests": [{"digest": 7}]}'],
)
def test_a_layout_that_is_wrong_is_no_traceback(tmp_path: Path, index: str) -> None:
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(BuildError):
        open_image(str(tmp_path))


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    write_layout(tmp_path, {"a": LAYERS})
    manifest = json.loads((tmp_path / "index.json").read_text())["manifests"][0]["digest"]
    layer = json.loads((tmp_path / "blobs" / manifest.replace(":", "/")).read_text())["layers"][0]
    (tmp_path / "blobs" / layer["digest"].replace(":", "/")).unlink()
    with pytest.raises(BuildError, match="a layer is missing"):
        open_image(str(tmp_path))
    shutil.rmtree(tmp_path / "blobs")
    with pytest.raises(BuildError):
        open_image(str(tmp_path))


def test_a_registrys_image_is_the_same_as_the_layout_it_came_from(tmp_path: Path) -> None:
    layout = write_layout(tmp_path, {"a:1": LAYERS}, platforms=("linux/amd64", "linux/arm64"))
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    with serve(layout) as registry:
        remote = open_image(registry.reference(digest), platform="linux/arm64")
        assert remote.reference == registry.reference(digest)
        with pytest.raises(BuildError, match="the registry has no image"):
            open_image(registry.reference(f"sha256:{'0' * 64}"))
    local = open_image(str(layout), platform="linux/arm64")
    assert (remote.digest, remote.layers) == (local.digest, local.layers)


def test_a_registrys_layer_that_is_not_its_digest_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path, {"a:1": LAYERS})
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    manifest = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
    first, second = (layout / "blobs" / la["digest"].replace(":", "/") for la in manifest["layers"])
    first.write_bytes(second.read_bytes())
    with serve(layout) as registry, pytest.raises(TamperedError, match="has other content"):
        open_image(registry.reference(digest))


def test_an_archive_whose_own_headers_claim_much_memory_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(4096))
    with pytest.raises(BuildError, match="an extended header of"):
        open_image(str(tmp_path / "a.tar"))
