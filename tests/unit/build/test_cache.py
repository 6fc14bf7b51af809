"""The cache: nothing is made twice, nothing half written stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.build.cache import Cache, digest_of
from shipway.build.environments.distributions import Distribution
from shipway.build.layers import Entry

KEY = {"wheel": "1"}


def entries() -> list[Entry]:
    return [Entry("a", "file", content=b"a")]


def refuse() -> list[Entry]:
    raise AssertionError("made although it is in the cache")


def test_second_time_comes_from_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.layer("one", KEY, entries)
    second = cache.layer("another name", KEY, refuse)
    assert not first.cached
    assert second.cached
    assert (second.name, second.digest) == ("another name", first.digest)


def test_a_lost_blob_is_made_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    layer = cache.layer("one", KEY, entries)
    cache.blob(layer.digest).unlink()
    assert cache.layer("one", KEY, entries).digest == layer.digest
    assert cache.blob(layer.digest).exists()


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail() -> list[Entry]:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        cache.layer("one", KEY, fail)
    assert list(cache.directory("tmp").iterdir()) == []
    assert not cache.layer("one", KEY, entries).cached


def test_another_input_is_another_layer(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.layer("one", KEY, entries)
    assert cache.has(KEY)
    assert not cache.has(KEY | {"python": "2"})
    assert not cache.layer("one", KEY | {"python": "2"}, entries).cached


def test_digest_depends_on_every_part() -> None:
    assert digest_of("a", "b") != digest_of("ab")
    assert digest_of({"x": 1, "y": 2}) == digest_of({"y": 2, "x": 1})


def test_what_a_layer_holds_is_known_without_its_blob_being_read(tmp_path: Path) -> None:
    cache, asked = Cache(tmp_path), []
    six = Distribution("six", "1.17.0", "/app/.venv", "MIT", "sha256:" + "ab" * 32)

    def holds(made: list[Entry]) -> tuple[Distribution, ...]:
        asked.append(made)
        return (six,)

    first = cache.layer("one", KEY, entries, holds)
    cache.blob(first.digest).write_bytes(b"x" * first.size)
    assert cache.layer("one", KEY, refuse, holds).distributions == first.distributions == (six,)
    assert asked == [entries()]


def test_what_a_power_cut_left_counts_as_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    layer = cache.layer("one", KEY, entries)
    cache.keep_fact("fact", '"known"')
    for path in (tmp_path / "facts/fact", cache.blob(layer.digest), *(tmp_path / "layers").iterdir()):
        whole = path.read_bytes()
        path.write_bytes(b"")
        again = Cache(tmp_path)
        assert again.fact("fact") == (None if path.name == "fact" else '"known"')
        again.keep_fact("fact", '"known"')
        assert again.layer("one", KEY, entries).digest == layer.digest
        assert path.read_bytes() == whole


def test_a_small_blob_that_was_changed_is_written_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    digest = cache.store(b"manifest")
    cache.blob(digest).write_bytes(b"MANIFEST")
    assert cache.store(b"manifest") == digest
    assert cache.blob(digest).read_bytes() == b"manifest"
