"""Layers: the bytes depend on the entries alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import tarfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shipway.build.layers import Entry, tree_entries, with_parents, write_layer

ENTRIES = [
    Entry("app/b.txt", "file", content=b"b"),
    Entry("app/a.txt", "file", 0o755, content=b"aa"),
    Entry("app/link", "symlink", 0o777, target="a.txt"),
    Entry("data", "directory", 0o755, owner=65532),
]


def blob(entries: list[Entry]) -> bytes:
    sink = io.BytesIO()
    write_layer("test", entries, sink)
    return sink.getvalue()


def test_order_of_entries_does_not_matter() -> None:
    shuffled = ENTRIES[:]
    random.Random(7).shuffle(shuffled)
    assert blob(shuffled) == blob(ENTRIES)


def test_descriptor_describes_the_bytes() -> None:
    sink = io.BytesIO()
    layer = write_layer("test", ENTRIES, sink)
    data = sink.getvalue()
    assert layer.digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert layer.diff_id == "sha256:" + hashlib.sha256(gzip.decompress(data)).hexdigest()
    assert (layer.size, layer.unpacked) == (len(data), 3)


def test_tar_holds_what_the_entries_say() -> None:
    with tarfile.open(fileobj=io.BytesIO(blob(ENTRIES))) as archive:
        members = {m.name: m for m in archive.getmembers()}
        assert list(members) == ["app", "app/a.txt", "app/b.txt", "app/link", "data"]
        assert members["app/a.txt"].mode == 0o755
        assert members["app/link"].linkname == "a.txt"
        assert members["data"].uid == members["data"].gid == 65532
        assert {m.mtime for m in members.values()} == {0}
        content = archive.extractfile("app/a.txt")
        assert content is not None
        assert content.read() == b"aa"


def test_tree_entries_ignore_times_and_exact_modes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x").write_text("x")
    (tmp_path / "d/x").chmod(0o600)
    (tmp_path / "y").symlink_to("d/x")
    os.utime(tmp_path / "d/x", (1, 1))
    entries = tree_entries(tmp_path, "app")
    assert [(e.path, e.kind, e.mode) for e in entries] == [
        ("app/d", "directory", 0o755),
        ("app/d/x", "file", 0o644),
        ("app/y", "symlink", 0o777),
    ]


names = st.text("abc/", min_size=1, max_size=8).map(lambda t: "/".join(p for p in t.split("/") if p))


@given(st.lists(names.filter(bool), max_size=12))
def test_every_parent_comes_before_its_children(paths: list[str]) -> None:
    entries = with_parents(Entry(path, "directory") for path in paths)
    seen: set[str] = set()
    for entry in entries:
        parent = entry.path.rpartition("/")[0]
        assert not parent or parent in seen
        seen.add(entry.path)
    assert set(paths) <= seen
