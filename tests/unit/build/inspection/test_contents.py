"""Layers are read as streams from anybody: counted, and never believed."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pytest
from tests.layout import zstd

from shipway.build.inspection.contents import (
    MAX_HEADER,
    distribution_sizes,
    read_contents,
    readable,
    source_of,
)
from shipway.errors import BuildError

Member = tuple[str, bytes] | tarfile.TarInfo


def tar(members: Iterable[Member], form: int = tarfile.PAX_FORMAT) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(member[0])
                header.size = len(member[1])
                archive.addfile(header, io.BytesIO(member[1]))
    return sink.getvalue()


def special(path: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(path)
    header.type, header.linkname = kind, target
    return header


@pytest.mark.parametrize(("pack", "name"), [(bytes, "none"), (gzip.compress, "gzip")])
def test_files_are_counted_however_the_layer_is_packed(pack: type[bytes], name: str) -> None:
    contents = read_contents(io.BytesIO(pack(tar([("a/b", b"123"), ("c", b"")]))), "x")
    assert (contents.compression, contents.unpacked) == (name, 3)
    assert {path: file.size for path, file in contents.files.items()} == {"a/b": 3, "c": 0}


def test_gzip_in_pieces_is_read_to_its_end() -> None:
    data = tar([("a", b"1" * 5000), ("b", b"2")])
    pieces = gzip.compress(data[:2000]) + gzip.compress(data[2000:])
    assert set(read_contents(io.BytesIO(pieces), "x").files) == {"a", "b"}


def test_whiteouts_links_and_directories() -> None:
    contents = read_contents(
        io.BytesIO(
            tar(
                [
                    ("etc/.wh.passwd", b""),
                    ("opt/.wh..wh..opq", b""),
                    special("usr", tarfile.DIRTYPE),
                    special("bin", tarfile.SYMTYPE, "usr/bin"),
                    special("dev/sda", tarfile.BLKTYPE),
                ]
            )
        ),
        "x",
    )
    assert contents.removed == {"etc/passwd"}
    assert contents.opaque == {"opt"}
    assert contents.directories == {"usr"}
    assert contents.names == {"bin", "dev/sda"}
    assert contents.files == {}


def test_names_that_leave_the_tree_or_hide_something_are_only_names() -> None:
    names = ["../../etc/shadow", "/abs", "a/../../b", "x\x1b[2Jy", "right\u202eleft"]
    contents = read_contents(io.BytesIO(tar([(name, b"1") for name in names])), "x")
    assert set(contents.files) == {"etc/shadow", "abs", "b", "x\ufffd[2Jy", "right\ufffdleft"}
    assert readable("plain é") == "plain é"


def test_a_path_twice_counts_twice_and_once_as_repeated() -> None:
    contents = read_contents(io.BytesIO(tar([("a", b"123"), ("a", b"4567")])), "x")
    assert (contents.files["a"].size, contents.repeated, contents.unpacked) == (4, 3, 7)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_claims_much_memory_is_refused(kind: bytes) -> None:
    header = special("x", kind)
    header.size = MAX_HEADER + 1
    with pytest.raises(BuildError, match="an extended header of"):
        read_contents(io.BytesIO(header.tobuf() + bytes(4096)), "layer x")


def test_more_entries_than_are_kept_are_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipway.build.inspection.contents.MAX_ENTRIES", 2)
    contents = read_contents(io.BytesIO(tar([(name, b"12") for name in "abcd"])), "x")
    assert (set(contents.files), contents.unnamed, contents.unpacked) == ({"a", "b"}, 4, 8)


class Zeros(io.RawIOBase):
    """A tar with one file of `size` zeros, made while it is read."""

    def __init__(self, size: int) -> None:
        header = tarfile.TarInfo("model.bin")
        header.size = size
        self.head, self.left = header.tobuf(), size + 1024

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self.head[: len(buffer)] or bytes(min(len(buffer), self.left))
        if self.head:
            self.head = self.head[len(chunk) :]
        else:
            self.left -= len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


@pytest.mark.slow
def test_a_large_file_takes_no_more_memory_than_a_small_one() -> None:
    stream: IO[bytes] = io.BufferedReader(Zeros(300_000_000))
    tracemalloc.start()
    try:
        assert read_contents(stream, "x").unpacked == 300_000_000
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "blob",
    [
        b"no tar at all" * 100,
        gzip.compress(tar([("a", b"1" * 9000)]))[:-30],
        tar([("a", b"1" * 20_000)])[:10_000],
        tar([("a", b"1")]) + b"more" * 1_000_000,
        zstd.compress(tar([("a", b"1" * 9000)]))[:-5],
        zstd.compress(tar([("a", b"1" * 9000)]))[:20] + bytes(40),
    ],
    ids=["text", "cut gzip", "cut tar", "trailing", "cut zstd", "damaged zstd"],
)
def test_what_is_damaged_is_said_to_be(blob: bytes) -> None:
    with pytest.raises(BuildError, match="layer abc is damaged, or no tar"):
        read_contents(io.BytesIO(blob), "layer abc")


def test_bytecode_belongs_to_its_source() -> None:
    assert source_of("a/__pycache__/b.cpython-313.opt-2.pyc") == "a/b.py"
    assert source_of("__pycache__/b.cpython-313.pyc") == "b.py"
    assert source_of("a/b.so") == "a/b.so"


def test_sizes_of_distributions_have_their_bytecode(tmp_path: Path) -> None:
    place = "app/.venv/lib/python3.13/site-packages"
    record = b"six.py,,\nsix-1.16.0.dist-info/RECORD,,\n../../../bin/six,,\n"
    members = {
        f"{place}/six.py": b"1" * 10,
        f"{place}/__pycache__/six.cpython-313.pyc": b"2" * 20,
        f"{place}/six-1.16.0.dist-info/RECORD": record,
        "app/.venv/bin/six": b"3" * 5,
        f"{place}/other.py": b"4",
    }
    blob = tmp_path / "blob"
    blob.write_bytes(gzip.compress(tar(members.items())))
    assert distribution_sizes(blob) == {"six 1.16.0": 35 + len(record)}
