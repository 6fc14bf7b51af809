"""Layers laid over each other: what a container would see, and nothing outside of the tree."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.layout import zstd

from shipway.build.bases.rootfs import inside, unpack_layer
from shipway.errors import BuildError

Member = tuple[str, str, str]
"""Path, kind (file, directory, link, hard), content or target."""

KINDS = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "hard": tarfile.LNKTYPE,
}


def layer(*members: Member) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for path, kind, content in members:
            header = tarfile.TarInfo(path)
            header.type = KINDS.get(kind, tarfile.CHRTYPE)
            header.mode = 0o4755
            if kind == "file":
                header.size = len(content)
            elif kind in ("link", "hard"):
                header.linkname = content
            archive.addfile(header, io.BytesIO(content.encode()))
    return gzip.compress(sink.getvalue())


def unpacked(root: Path, *layers: bytes) -> Path:
    root.mkdir(exist_ok=True)
    for number, blob in enumerate(layers):
        unpack_layer(root, f"layer {number}", io.BytesIO(blob))
    return root


def files(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()}


def test_later_layers_replace_and_take_away(tmp_path: Path) -> None:
    below = layer(
        ("a/one", "file", "1"), ("a/two", "file", "2"), ("b/three", "file", "3"), ("c", "file", "4")
    )
    above = layer(
        ("a/.wh.one", "file", ""), ("b/new", "file", "5"), ("b/.wh..wh..opq", "file", ""), ("c", "file", "6")
    )
    assert files(unpacked(tmp_path / "t", below, above)) == {"a/two": "2", "b/new": "5", "c": "6"}


def test_the_size_is_that_of_the_files(tmp_path: Path) -> None:
    blob = layer(("a", "file", "123"), ("d", "directory", ""), ("l", "link", "a"), ("h", "hard", "a"))
    assert unpack_layer(tmp_path, "layer", io.BytesIO(blob)) == 3


def test_a_link_to_a_directory_is_followed_inside_the_tree(tmp_path: Path) -> None:
    below = layer(("usr/lib", "directory", ""), ("lib", "link", "/usr/lib"))
    root = unpacked(tmp_path / "t", below, layer(("lib/x.so", "file", "code")))
    assert (root / "usr/lib/x.so").read_text() == "code"
    assert (root / "lib").readlink() == Path("usr/lib"), "relative, so it means the same on this machine"


def test_a_directory_takes_the_place_of_a_link_and_a_file_that_of_a_directory(tmp_path: Path) -> None:
    below = layer(("x", "link", "/etc"), ("etc/f", "file", "1"), ("y/z", "file", "2"))
    root = unpacked(
        tmp_path / "t", below, layer(("x", "directory", ""), ("x/g", "file", "3"), ("y", "file", "4"))
    )
    assert files(root) == {"etc/f": "1", "x/g": "3", "y": "4"}


def test_no_mode_but_the_programs_own_is_kept(tmp_path: Path) -> None:
    root = unpacked(tmp_path / "t", layer(("s", "file", "x"), ("dev/null", "device", "")))
    assert oct((root / "s").stat().st_mode & 0o7777) == "0o755"
    assert not (root / "dev/null").exists()


@pytest.mark.parametrize("name", ["../out", "a/../../out", "./../out"])
def test_a_path_that_leaves_the_image_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match="leaves the image: refused"):
        unpacked(tmp_path / "t", layer((name, "file", "x")))
    assert not (tmp_path / "out").exists()


def test_an_absolute_path_is_below_the_tree(tmp_path: Path) -> None:
    assert files(unpacked(tmp_path / "t", layer(("/etc/motd", "file", "x")))) == {"etc/motd": "x"}


def test_links_cannot_lead_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    up = layer(("l", "link", "../outside"), ("m", "link", f"{tmp_path}/outside"), ("l/f", "file", "x"))
    root = unpacked(tmp_path / "t", up, layer(("m/g", "file", "y")))
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (root / "l").readlink().is_absolute()
    assert inside(root, "/l/f") == root / "outside/f"


def test_a_hard_link_to_something_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(BuildError, match=r"hard link to \.\./secret, which is not in the image"):
        unpacked(tmp_path / "t", layer(("h", "hard", "../secret")))


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="loop of links"):
        unpacked(tmp_path / "t", layer(("a", "link", "b"), ("b", "link", "a"), ("a/f", "file", "x")))


@pytest.mark.parametrize("compress", [lambda data: data, zstd.compress])
def test_layers_that_gzip_has_not_compressed(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    blob = compress(gzip.decompress(layer(("a", "file", "x"))))
    assert files(unpacked(tmp_path / "t", blob)) == {"a": "x"}


def test_a_truncated_layer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="layer 0 is damaged"):
        unpacked(tmp_path / "t", layer(("a", "file", "x" * 5000))[:-40])


parts = st.sampled_from(["a", "b", "..", ".", "", "l", ".wh.a", ".wh..wh..opq"])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
members = st.tuples(paths, st.sampled_from([*KINDS]), paths)


@given(st.lists(st.lists(members, max_size=6), min_size=1, max_size=3))
def test_whatever_is_in_layers_nothing_outside_changes(tmp_path_factory, layers) -> None:  # type: ignore[no-untyped-def]
    top = tmp_path_factory.mktemp("top")
    (top / "a").write_text("mine")
    (top / "b").mkdir()
    with contextlib.suppress(BuildError):
        unpacked(top / "t", *(layer(*each) for each in layers))
    assert sorted(p.name for p in top.iterdir()) == ["a", "b", "t"]
    assert (top / "a").read_text() == "mine"
    assert list((top / "b").iterdir()) == []
    for path in (top / "t").rglob("*"):
        if path.is_symlink():
            assert os.path.normpath(path.parent / path.readlink()).startswith(str(top / "t"))
