"""The store in SQLite, on disks that fail."""

from __future__ import annotations

import subprocess

import pytest
from tests.unit.runtime.conversations.conftest import open_store, say, store  # noqa: F401

from shipway_runtime.conversations.store import StoreError
from shipway_runtime.errors import StartError


@pytest.fixture
def tmp_path(tmp_path, engine):
    """A disk of half a megabyte."""
    mount = engine("mount")
    subprocess.run((mount, "-t", "tmpfs", "-o", "size=512k", "tmpfs", tmp_path), check=True)
    yield tmp_path
    subprocess.run(("umount", tmp_path), check=True)


def fill(store):  # noqa: F811
    for turn in range(1, 100):
        store.add(turn, messages=say("x" * 10_000), started=float(turn))


def test_a_full_disk_is_named_and_gets_over_it(store, tmp_path):  # noqa: F811
    filler = tmp_path / "filler"
    filler.write_bytes(b"x" * 100_000)
    with pytest.raises(StoreError, match="the volume is full"):
        fill(store)
    assert "the volume is full" in store.check()
    assert store.before().last > 0, "reading goes on"
    filler.unlink()
    assert store.check() is None
    last = store.before().last
    store.add(last + 1, previous=last, messages=say("again"))


def test_a_read_only_disk_is_no_place_to_start(open_store, tmp_path):  # noqa: F811
    subprocess.run(("mount", "-o", "remount,ro", tmp_path), check=True)
    with pytest.raises(StartError, match="cannot be kept in"):
        open_store()
