"""What is locked, what is stale, and packages that a mirror no longer has."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from shipway.build import locking
from shipway.build.debian.debs import Deb
from shipway.build.debian.mirrors import Mirror
from shipway.build.debian.pinned import fetch_pinned, locked_debs, pinned_debs
from shipway.errors import ResolveError, SpecError, TamperedError
from shipway.plan.image import NODE, ImagePlan, plan_images
from shipway.spec.load import load
from shipway.spec.lock import Lock, read_lock
from shipway.spec.project import read_project
from shipway.spec.shipwaylock import LockedBase, LockedEnvironment, LockedNpm, Pin, Resolution, ShipwayLock

SPEC = 'name = "a"\nentrypoint = "agent:agent"\n'
MCP = '[mcp.{0}]\nrun = "pypi:{0}"\nshape = "{1}"\n'


def plans(root: Path, spec: str, **files: str) -> tuple[tuple[ImagePlan, ...], Lock]:
    root.mkdir(exist_ok=True)
    every = {"agent.toml": SPEC + spec, "agent.py": "async def agent(messages, ctx): ...\n"}
    for name, text in (every | {n.replace("__", "."): t for n, t in files.items()}).items():
        (root / name).write_text(text)
    loaded, own = load(root / "agent.toml"), read_lock(root)
    return plan_images(loaded, read_project(loaded), own), own


def wanted(root: Path, spec: str = "", **files: str) -> locking.Wanted:
    return locking.plan_lock(*plans(root, spec, **files))


def full(asked: locking.Wanted) -> ShipwayLock:
    """A lock that holds all of it."""
    return ShipwayLock(
        locking.versions(),
        tuple(LockedBase(b.name, b.inputs, {"amd64": (), "arm64": ()}) for b in asked.bases),
        tuple(
            LockedEnvironment(e.name, e.inputs, {p: Resolution((Pin("x", "1"),)) for p in e.platforms})
            for e in asked.environments
        ),
        tuple(LockedNpm(s.name, s.inputs, {"node_modules/one": {"version": "1"}}) for s in asked.npm),
    )


def stale(asked: locking.Wanted, lock: ShipwayLock | None) -> list[str]:
    return [finding.message for finding in locking.find_stale(asked, lock)]


def test_equal_wishes_of_several_images_are_locked_once(tmp_path: Path) -> None:
    spec = MCP.format("one", "sidecar") + MCP.format("two", "sidecar") + '[image]\npackages = ["git"]\n'
    asked = wanted(tmp_path, spec, requirements__txt="x\n")
    assert [base.name for base in asked.bases] == ["minimal + git", "minimal"]
    names = [environment.name for environment in asked.environments]
    assert len([name for name in names if "runtime" in name]) == 1
    assert len(names) == len(set(names)) == 4


def test_a_whole_lock_is_fresh_and_found(tmp_path: Path) -> None:
    built, own = plans(tmp_path, MCP.format("one", "inside"), requirements__txt="x\n")
    asked = locking.plan_lock(built, own)
    assert stale(asked, full(asked)) == []
    locked = locking.use_lock(asked, full(asked), own, True, pytest.fail)
    for environment in built[0].environments:
        assert locked.resolution(environment, built[0].base, "linux/amd64") is not None
        assert locked.resolution(environment, built[0].base, "linux/arm64") is None
    assert locked.debs(built[0].base) == {"amd64": (), "arm64": ()}


@pytest.mark.parametrize(
    ("spec", "requirements", "message"),
    [
        ("", "y\n", "agent, dependencies: what it is made from has changed since"),
        ('[image]\npackages = ["git"]\n', "x\n", "base minimal + git is not in it"),
        ('[image]\ngroups = ["g"]\n', "x\n", "agent, dependencies: what it is made from has changed since"),
        (MCP.format("one", "inside"), "x\n", "agent, mcp one is not in it"),
        ('[image]\nplatforms = ["linux/amd64", "linux/arm64"]\n', "x\n", "is not locked for linux/arm64"),
    ],
)
def test_what_changed_is_stale_and_no_more(
    tmp_path: Path, spec: str, requirements: str, message: str
) -> None:
    lock = full(wanted(tmp_path, requirements__txt="x\n"))
    (found,) = stale(wanted(tmp_path, spec, requirements__txt=requirements), lock)
    assert message in found


def test_what_is_not_of_the_image_changes_nothing(tmp_path: Path) -> None:
    lock = full(wanted(tmp_path, requirements__txt="x\n"))
    spec = '[image]\nmirror = "https://deb.example.com/debian"\nsize = "1GB"\n[resources]\nmemory = "1Gi"\n'
    assert stale(wanted(tmp_path, spec, requirements__txt="x\n"), lock) == []


def test_another_shipway_makes_another_image(tmp_path: Path) -> None:
    asked = wanted(tmp_path)
    other = dataclasses.replace(full(asked), tools=locking.versions() | {"shipway-runtime": "0.0.9"})
    assert "it was made with shipway-runtime 0.0.9; this is" in stale(asked, other)[0]
    newer_uv = dataclasses.replace(full(asked), tools=locking.versions() | {"uv": "99"})
    assert stale(asked, newer_uv) == []


def test_a_build_says_what_is_stale_and_a_strict_one_refuses(tmp_path: Path) -> None:
    built, own = plans(tmp_path, "")
    asked, said = locking.plan_lock(built, own), list[str]()
    assert locking.use_lock(asked, None, own, False, said.append).lock == ShipwayLock()
    assert said == [], "who does not lock is not nagged"
    old = dataclasses.replace(full(asked), environments=())
    locking.use_lock(asked, old, own, False, said.append)
    assert "agent, dependencies is not in it; resolved anew" in said[0]
    for lock in (None, old):
        with pytest.raises(SpecError) as refused:
            locking.use_lock(asked, lock, own, True, said.append)
        assert {finding.rule for finding in refused.value.findings} == {"lock-stale"}


def test_a_server_from_npm_is_locked_with_its_node(tmp_path: Path) -> None:
    spec = '[mcp.one]\nrun = "npm:one@1"\n[mcp.two]\nrun = "npm:one@1"\nshape = "sidecar"\n'
    built, own = plans(tmp_path, spec)
    asked = locking.plan_lock(built, own)
    assert [server.name for server in asked.npm] == ["agent, mcp one"], "what two images ask for is one"
    assert [e.name for e in asked.environments if "Node" in e.name] == ["agent, Node"]
    lock = full(asked)
    assert stale(asked, lock) == []
    locked = locking.use_lock(asked, lock, own, True, pytest.fail)
    assert locked.npm(built[0].node[0]) == locked.npm(built[1].node[0]) == lock.npm[0].packages
    assert locked.resolution(NODE, built[0].base, "linux/amd64") is not None
    without = wanted(tmp_path, "")
    assert "agent, mcp one is not in it" in stale(asked, full(without))
    assert "agent, Node is not in it" in stale(asked, full(without))
    moved = wanted(tmp_path, '[mcp.one]\nrun = "npm:one@2"\n')
    assert stale(moved, lock) == ["agent, mcp one: what it is made from has changed since"]


def test_moves_name_old_and_new() -> None:
    def lock(**pins: str) -> ShipwayLock:
        found = Resolution(tuple(Pin(name, version) for name, version in pins.items()))
        return ShipwayLock(environments=(LockedEnvironment("agent", "i", {"linux/amd64": found}),))

    assert locking.moves(lock(a="1", b="1", c="1"), lock(a="2", b="1", d="1")) == [
        "agent: a 1 -> 2",
        "agent: c 1 -> (none)",
        "agent: d (none) -> 1",
    ]


def test_moves_name_packages_from_npm_once_for_all_their_places() -> None:
    def lock(*versions: str) -> ShipwayLock:
        places = ("node_modules/@a/b", "node_modules/c/node_modules/@a/b")
        packages = {place: {"version": version} for place, version in zip(places, versions, strict=False)}
        return ShipwayLock(npm=(LockedNpm("agent, mcp x", "i", packages),))

    assert locking.moves(lock("1", "2"), lock("2")) == ["agent, mcp x: @a/b 1, 2 -> 2"]
    assert locking.moves(None, lock("1")) == ["agent, mcp x: @a/b (none) -> 1"]


# -- Debian packages -------------------------------------------------------------------------------------


@pytest.fixture
def security(archive: Any, making: Any) -> tuple[Deb, tuple[Mirror, Mirror]]:
    """A package of the security archive, which is beside the main one."""
    package = making.deb("lib", "1.2", members=[("./usr/lib/x", b"x")])
    archive.write(f"../debian-security/pool/updates/{package.filename[5:]}", package.data)
    mirrors = (
        archive.mirror(),
        dataclasses.replace(archive.mirror("trixie-security"), url=f"{archive.url}-security"),
    )
    url = f"{mirrors[1].url}/pool/updates/{package.filename[5:]}"
    return Deb("lib", "1.2", "amd64", url, package.sha256, len(package.data)), mirrors


def test_the_lock_has_paths_and_no_host(security: Any) -> None:
    deb, mirrors = security
    (locked,) = locked_debs([deb], mirrors)
    assert locked.filename == "pool/updates/lib_1.2.deb"
    assert "127.0.0.1" not in str(locked)
    assert pinned_debs([locked], mirrors) == (deb,)


def test_a_package_is_found_where_it_has_moved(security: Any, archive: Any, tmp_path: Path) -> None:
    deb, mirrors = security
    old = archive.root / "debian-security/pool/updates/lib_1.2.deb"
    archive.write("pool/lib_1.2.deb", old.read_bytes())
    old.unlink()
    (path,) = fetch_pinned([deb], mirrors, tmp_path / "cache", print)
    assert path.name == deb.sha256


def test_a_package_that_is_gone_comes_from_the_cache(security: Any, archive: Any, tmp_path: Path) -> None:
    deb, mirrors = security
    first = fetch_pinned([deb], mirrors, tmp_path / "cache", print)
    (archive.root / "debian-security/pool/updates/lib_1.2.deb").unlink()
    assert fetch_pinned([deb], mirrors, tmp_path / "cache", print) == first
    with pytest.raises(
        ResolveError, match=r"neither the mirrors nor the cache have any more: lib 1\.2"
    ) as caught:
        fetch_pinned([deb], mirrors, tmp_path / "other", print)
    assert "[image] mirror" in caught.value.hint
    assert "shipway lock --upgrade" in caught.value.hint


def test_another_package_at_its_place_is_refused(security: Any, archive: Any, tmp_path: Path) -> None:
    deb, mirrors = security
    path = archive.root / "debian-security/pool/updates/lib_1.2.deb"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(TamperedError):
        fetch_pinned([deb], mirrors, tmp_path / "cache", print)
