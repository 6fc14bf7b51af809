"""Every way to say what a project depends on, locked, and built in two places from that lock."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv
from tests.package_index import PackageIndex, source_tree, write_tree
from tests.scenarios.conftest import Run, Undisturbed

pytestmark = pytest.mark.network  # the packages of the base; those of Python are ours

PROJECT = """\
[project]
name = "app"
version = "1"
requires-python = ">=3.11"
dependencies = [{dependencies}]
"""
CHOICE = '[image]\ngroups = ["prod"]\nextras = ["pg"]\n'
MORE = (
    '[project.optional-dependencies]\npg = ["ext"]\n[dependency-groups]\nprod = ["grp"]\ndev = ["absent"]\n'
)


@pytest.fixture
def private(undisturbed: Undisturbed, tmp_path: Path) -> Iterator[PackageIndex]:
    """An index with a password; the default one gets what the projects here require beside it."""
    for name in ("ext", "grp", "absent"):
        undisturbed.index.wheel(name)
    with PackageIndex(tmp_path / "private", login="me:hush") as index:
        index.wheel("inner")
        yield index


def library(place: str) -> dict[str, str]:
    return {f"{place}/{path}": text for path, text in source_tree("lib", "1.0", requires=["other"]).items()}


def below(place: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{place}/{path}": text for path, text in files.items()}


def check(
    shipway: Run, undisturbed: Undisturbed, root: Path, place: str, env: dict[str, str], expected: set[str]
) -> None:
    """Lock; build from the lock, here and from a copy elsewhere that finds no Python package in a cache."""
    one, other = root / "one", root / "elsewhere/copy"
    here = undisturbed.copy(root / "cache") | env
    done = shipway("lock", cwd=one / place, env=here)
    assert done.returncode == 0, done.stderr
    lock = (one / place / "shipway.lock").read_text()
    assert "hush" not in lock
    assert "127.0.0.1" not in lock
    shutil.copytree(one, other)
    made = ("blobs", "layers", "sizes", "resolved", "built", "wheels", "selections", "releases")
    there = undisturbed.copy(root / "empty", without=made) | env | {"UV_CACHE_DIR": str(root / "uv")}
    builds = [
        shipway("build", "--locked", cwd=one / place, env=here),
        shipway("build", "--locked", cwd=other / place, env=there),
    ]
    assert [build.returncode for build in builds] == [0, 0], [build.stderr for build in builds]
    assert builds[0].stdout == builds[1].stdout
    seen = json.loads(shipway("inspect", "--json", ".shipway/images", cwd=one / place).stdout)
    ours = ("dep", "other", "ext", "grp", "lib", "inner", "absent")
    assert {package["name"] for package in seen["packages"]} & set(ours) == expected


def test_a_uv_lock_of_a_workspace_with_a_group_and_an_extra(
    shipway: Run, undisturbed: Undisturbed, private: PackageIndex, tmp_path: Path
) -> None:
    index = f'[[tool.uv.index]]\nname = "corp"\nurl = "{private.url}"\nexplicit = true\n'
    sources = '[tool.uv.sources]\nlib = { workspace = true }\ninner = { index = "corp" }\n'
    app = {
        **undisturbed.files,
        "agent.toml": undisturbed.files["agent.toml"] + CHOICE,
        "requirements.txt": "absent\n",  # uv.lock comes first
        "pyproject.toml": PROJECT.format(dependencies='"dep", "lib", "inner"') + MORE + sources,
    }
    workspace = {"pyproject.toml": f'[tool.uv.workspace]\nmembers = ["app", "lib"]\n{index}'}
    write_tree(tmp_path / "one", workspace | below("app", app) | library("lib"))
    env = {"UV_INDEX_CORP_USERNAME": "me", "UV_INDEX_CORP_PASSWORD": "hush"}
    locking = (uv.find_uv_bin(), "lock", "--quiet", "--no-python-downloads")
    subprocess.run(locking, cwd=tmp_path / "one", env={**os.environ, **undisturbed.env, **env}, check=True)
    (tmp_path / "one/app/requirements.txt").unlink()
    check(shipway, undisturbed, tmp_path, "app", env, {"dep", "lib", "other", "inner", "grp", "ext"})


def test_a_pylock_before_requirements_with_a_private_index(
    shipway: Run, undisturbed: Undisturbed, private: PackageIndex, tmp_path: Path
) -> None:
    one = write_tree(
        tmp_path / "one", undisturbed.files | {"asked.in": "dep\ninner\n", "requirements.txt": "absent\n"}
    )
    env = {"UV_INDEX": private.url.replace("//", "//me:hush@")}
    locking = (uv.find_uv_bin(), "pip", "compile", "--quiet", "asked.in", "--output-file", "pylock.toml")
    subprocess.run(locking, cwd=one, env={**os.environ, **undisturbed.env, **env}, check=True)
    check(shipway, undisturbed, tmp_path, "", env, {"dep", "inner"})


def test_requirements_without_hashes_with_a_directory_and_an_index_of_their_own(
    shipway: Run, undisturbed: Undisturbed, private: PackageIndex, tmp_path: Path
) -> None:
    text = f"--extra-index-url {private.url}\n-r more.txt\n./lib\n"
    files = {"requirements.txt": text, "more.txt": "dep\ninner\n"}
    write_tree(tmp_path / "one", undisturbed.files | files | library("lib"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hush\n")
    env = {"NETRC": str(tmp_path / "netrc")}
    check(shipway, undisturbed, tmp_path, "", env, {"dep", "inner", "lib", "other"})


def test_a_plain_pyproject_with_a_directory(
    shipway: Run, undisturbed: Undisturbed, private: PackageIndex, tmp_path: Path
) -> None:
    sources = '[tool.uv.sources]\nlib = { path = "lib" }\n'
    files = {name: text for name, text in undisturbed.files.items() if name != "requirements.txt"}
    files["agent.toml"] += CHOICE
    files["pyproject.toml"] = PROJECT.format(dependencies='"dep", "lib"') + MORE + sources
    write_tree(tmp_path / "one", files | library("lib"))
    check(shipway, undisturbed, tmp_path, "", {}, {"dep", "lib", "other", "grp", "ext"})
