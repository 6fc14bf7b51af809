"""The cache: nothing is made twice, nothing half written stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.build.cache import Cache, digest_of
from shipway.build.layers import Entry


def entries() -> list[Entry]:
    return [Entry("a", "file", content=b"a")]


def refuse() -> list[Entry]:
    raise AssertionError("made although it is in the cache")


def test_second_time_comes_from_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.layer("one", "key", entries)
    second = cache.layer("another name", "key", refuse)
    assert not first.cached
    assert second.cached
    assert (second.name, second.digest) == ("another name", first.digest)


def test_a_lost_blob_is_made_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    layer = cache.layer("one", "key", entries)
    cache.blob(layer.digest).unlink()
    assert cache.layer("one", "key", entries).digest == layer.digest
    assert cache.blob(layer.digest).exists()


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail() -> list[Entry]:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        cache.layer("one", "key", fail)
    assert list(cache.directory("tmp").iterdir()) == []
    assert not cache.layer("one", "key", entries).cached


def test_digest_depends_on_every_part() -> None:
    assert digest_of("a", "b") != digest_of("ab")
    assert digest_of({"x": 1, "y": 2}) == digest_of({"y": 2, "x": 1})
