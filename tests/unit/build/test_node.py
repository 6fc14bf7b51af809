"""Servers from npm: what is locked, what is installed, and what is said when there is nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipway.build import node
from shipway.build.cache import Cache
from shipway.errors import ResolveError, TamperedError, UnreachableError

pytestmark = pytest.mark.network
PACKAGE = "which@5.0.0"  # one program, one dependency


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def host(cache: Cache) -> node.Node:
    return node.provide((), "this host", cache, print)


def test_the_lock_has_an_integrity_hash_for_every_package(cache: Cache, host: node.Node) -> None:
    listed = node.packages(node.lock(PACKAGE, host, cache, print))
    assert set(listed) >= {"which", "isexe"}
    assert all("sha512-" in value for value in listed.values())


def test_the_tree_has_the_program_and_no_address(cache: Cache, host: node.Node, tmp_path: Path) -> None:
    text = node.lock(PACKAGE, host, cache, print)
    node.install_package(PACKAGE, text, tmp_path / "tree", "linux/arm64", host)
    assert (tmp_path / "tree/main").resolve().name == "which.js"
    assert not list((tmp_path / "tree").rglob("*package-lock.json"))


def test_another_archive_than_the_lock_says_is_refused(cache: Cache, host: node.Node, tmp_path: Path) -> None:
    document = json.loads(node.lock(PACKAGE, host, cache, print))
    document["packages"]["node_modules/isexe"]["integrity"] = "sha512-" + "A" * 86 + "=="
    with pytest.raises(TamperedError, match="not what the lock says"):
        node.install_package(PACKAGE, json.dumps(document), tmp_path / "tree", None, host)


def test_a_package_that_is_nowhere_is_named(cache: Cache, host: node.Node) -> None:
    with pytest.raises(ResolveError, match="no-such-package-xyzzy-1"):
        node.lock("no-such-package-xyzzy-1", host, cache, print)


def test_a_package_without_a_program_says_so(cache: Cache, host: node.Node, tmp_path: Path) -> None:
    text = node.lock("isexe@3.1.1", host, cache, print)
    with pytest.raises(ResolveError, match="its programs: none"):
        node.install_package("isexe@3.1.1", text, tmp_path / "tree", None, host)


def test_a_registry_that_does_not_answer_is_unreachable(
    cache: Cache, host: node.Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(UnreachableError, match="npm registry did not answer"):
        node.lock("left-pad@1.3.0", host, cache, print)
