from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway_runtime.telemetry.spool import Spool, _cut


@pytest.fixture
def opened(tmp_path):
    """`opened()` is one more process's spool of the same folder; all are closed at the end."""
    spools = []

    def make(**more: int) -> Spool:
        spool = Spool(tmp_path, **more)
        spool.open()
        spools.append(spool)
        return spool

    yield make
    for spool in spools:
        spool.close()


def rest(spool: Spool) -> list[bytes]:
    found = []
    while batch := spool.read(2, 1000):
        found += batch.data.splitlines()
        spool.take(batch)
    return found


def test_lines_come_out_as_they_went_in(opened):
    spool = opened()
    spool.add([b"1", b"2"])
    spool.add([b"3"])
    assert len(spool) == 3
    batch = spool.read(2, 1000)
    assert (batch.data, batch.lines) == (b"1\n2\n", 2)
    assert spool.read(2, 1000).data == b"1\n2\n", "not taken yet"
    spool.take(batch)
    assert len(spool) == 1
    assert rest(spool) == [b"3"]
    spool.add([b"4"])
    assert rest(spool) == [b"4"]
    assert (len(spool), spool.size) == (0, 0)


def test_nothing_stays_where_all_is_taken(opened, tmp_path):
    spool = opened()
    spool.add([b"1"])
    rest(spool)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_is_for_the_next_process(opened):
    first = opened()
    first.add([b"1", b"2"])
    first.close()
    second = opened()
    second.add([b"3"])
    assert rest(second) == [b"1", b"2", b"3"]


def test_of_the_living_nothing_is_taken_away(opened):
    first, second = opened(), opened()
    first.add([b"1"])
    third = opened()
    assert (rest(second), rest(third), rest(first)) == ([], [], [b"1"])


def test_a_process_that_was_killed_leaves_whole_lines(opened, tmp_path):
    source = (
        "import os, pathlib, sys\nfrom shipway_runtime.telemetry.spool import Spool\n"
        "spool = Spool(pathlib.Path(sys.argv[1]))\nspool.open()\nspool.add([b'1', b'2'])\n"
        "next(spool._own.glob('*.ndjson')).open('ab').write(b'torn')\nos.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", source, str(tmp_path)]).returncode == -9
    spool = opened()
    assert len(spool) == 2
    assert rest(spool) == [b"1", b"2"]
    assert [path.name for path in tmp_path.iterdir()] == [spool._own.name]


def test_the_oldest_give_way(opened):
    spool = opened(limit=100, segment=30)
    spool.add([b"0" * 9])
    spool.take(spool.read(1, 1000))
    for number in range(1, 20):
        spool.add([b"%09d" % number])
    assert spool.size <= 100
    assert spool.dropped == 19 - len(spool)
    assert rest(spool)[-1] == b"%09d" % 19


def test_a_bound_holds_for_what_is_adopted_too(opened):
    first = opened(segment=30)
    first.add([b"%09d" % number for number in range(3)])
    first.add([b"%09d" % number for number in range(3, 6)])
    first.close()
    second = opened(limit=35)
    assert second.dropped == 3
    assert rest(second)[0] == b"%09d" % 3


def test_somebody_tidies_up(opened):
    spool = opened()
    spool.add([b"1"])
    batch = spool.read(1, 1000)
    for path in spool._own.glob("*.ndjson"):
        path.unlink()
    spool.take(batch)
    assert spool.read(1, 1000) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_full_leaves_whole_lines(opened, monkeypatch):
    spool = opened()
    spool.add([b"1"])
    monkeypatch.setattr(os, "pwrite", lambda *_: 1)
    with pytest.raises(OSError, match="no space for 2 bytes"):
        spool.add([b"2"])
    monkeypatch.undo()
    spool.add([b"3"])
    assert rest(spool) == [b"1", b"3"]


@given(st.lists(st.binary(max_size=5).map(lambda b: b.replace(b"\n", b"")), min_size=1), st.integers(1, 9))
def test_a_batch_is_whole_lines_and_one_at_least(lines, most):
    data = b"".join(line + b"\n" for line in lines)
    cut = _cut(data, most, 10)
    assert data.startswith(cut)
    assert cut.endswith(b"\n")
    count = cut.count(b"\n")
    assert count == 1 or (count <= most and len(cut) <= 10)
