"""Servers from npm: what is locked, what is installed, and what is said when there is nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from shipway.build.cache import Cache
from shipway.build.environments import npm
from shipway.build.environments.node import Node, provide_here
from shipway.build.environments.npm import Packages
from shipway.build.environments.requirements import resolve, target_options
from shipway.errors import ResolveError, TamperedError, UnreachableError
from shipway.plan.image import NODE, Python

pytestmark = pytest.mark.network
PACKAGE = "which@5.0.0"  # one program, one dependency


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def host(cache: Cache) -> Node:
    """Of what is locked for an image of another architecture."""
    pins = resolve(NODE, Path(), target_options(Python(), "linux/arm64"), cache, print)
    return provide_here(pins, Path(), cache, print)


@pytest.fixture
def packages(cache: Cache, host: Node) -> Packages:
    return npm.resolve(PACKAGE, host, cache, print)


def install(packages: Packages, tree: Path, host: Node, package: str = PACKAGE) -> None:
    npm.install(package, packages, tree, "linux/arm64", host, "/app/node/bin/node")


def test_every_package_has_an_integrity_hash_and_no_address(packages: Packages) -> None:
    assert set(packages) == {"node_modules/which", "node_modules/isexe"}
    assert all("sha512-" in value for value in npm.versions(packages).values())
    assert "://" not in json.dumps(packages)


def test_digests_are_what_bills_of_materials_hold() -> None:
    text = f"sha1-{base64.b64encode(b'1' * 20).decode()} sha512-{base64.b64encode(b'2' * 64).decode()}"
    packages = {"node_modules/a": {"version": "1", "integrity": text}, "node_modules/b": {"version": "1"}}
    assert npm.digests(packages) == {"node_modules/a": "sha512:" + "32" * 64}


def test_versions_of_before_are_kept_where_they_do(cache: Cache, host: Node) -> None:
    before = npm.resolve("which@4.0.0", host, cache, print)
    before = dict(before) | {
        "node_modules/isexe": npm.resolve("isexe@3.1.1", host, cache, print)["node_modules/isexe"]
    }
    found = npm.resolve(PACKAGE, host, cache, print, before)
    versions = {path: entry["version"] for path, entry in found.items()}
    assert versions == {"node_modules/which": "5.0.0", "node_modules/isexe": "3.1.1"}


def test_the_tree_has_the_program_and_nothing_of_npms(packages: Packages, host: Node, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    install(packages, tree, host)
    assert sorted(path.name for path in tree.iterdir()) == ["bin", "main", "node_modules"]
    assert (tree / "main").resolve().name == "which.js"
    assert str((tree / "bin/node").readlink()) == "/app/node/bin/node"
    assert not list(tree.rglob("*package-lock.json"))


def test_the_users_settings_do_not_change_the_tree(
    packages: Packages, host: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(packages, tmp_path / "one", host)
    (tmp_path / ".npmrc").write_text("install-strategy=nested\nbin-links=false\nomit=optional\n")
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / ".npmrc"))
    monkeypatch.setenv("npm_config_install_strategy", "linked")
    install(packages, tmp_path / "two", host)
    one, two = ({str(p.relative_to(t)) for p in t.rglob("*")} for t in (tmp_path / "one", tmp_path / "two"))
    assert one == two


def test_another_archive_than_the_lock_says_is_refused(
    packages: Packages, host: Node, tmp_path: Path
) -> None:
    other = dict(packages["node_modules/isexe"]) | {"integrity": "sha512-" + "A" * 86 + "=="}
    with pytest.raises(TamperedError, match="not what the lock says"):
        install(dict(packages) | {"node_modules/isexe": other}, tmp_path / "tree", host)


def test_a_package_without_a_hash_is_refused(packages: Packages, host: Node, tmp_path: Path) -> None:
    other = {"version": "3.1.1"}
    with pytest.raises(ResolveError, match="node_modules/isexe has no integrity hash"):
        install(dict(packages) | {"node_modules/isexe": other}, tmp_path / "tree", host)
    with pytest.raises(ResolveError, match="which is not among its own packages"):
        install({}, tmp_path / "tree2", host)


def test_a_package_that_is_nowhere_is_named(cache: Cache, host: Node) -> None:
    with pytest.raises(ResolveError, match="no-such-package-xyzzy-1"):
        npm.resolve("no-such-package-xyzzy-1", host, cache, print)


@pytest.mark.parametrize("package", ["github:npm/node-which", "../which", "which@npm:isexe@1", "--global"])
def test_what_is_not_of_a_registry_is_refused(package: str, cache: Cache, host: Node) -> None:
    with pytest.raises(ResolveError, match="not the name of a package"):
        npm.resolve(package, host, cache, print)


def test_a_dependency_from_an_address_is_refused_without_its_password() -> None:
    entry = {"version": "1.0.0", "resolved": "git+ssh://git:word@git.example.com/x/y.git#abc"}
    with pytest.raises(ResolveError, match="y is not from a registry") as caught:
        npm._packages(json.dumps({"packages": {"": {}, "node_modules/x/node_modules/y": entry}}))
    assert "word" not in str(caught.value)


def test_a_package_without_a_program_says_so(cache: Cache, host: Node, tmp_path: Path) -> None:
    packages = npm.resolve("isexe@3.1.1", host, cache, print)
    with pytest.raises(ResolveError, match="its programs: none"):
        install(packages, tmp_path / "tree", host, "isexe@3.1.1")


def test_a_registry_that_does_not_answer_is_unreachable(
    cache: Cache, host: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(UnreachableError, match="npm registry did not answer"):
        npm.resolve("left-pad@1.3.0", host, cache, print)
