"""The real command line, in projects that a test writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.package_index import PackageIndex, write_tree

SHIPWAY = Path(sys.executable).with_name("shipway")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def shipway() -> Run:
    """Run `shipway ARGUMENT…` in a directory; returns what it printed and its exit code."""

    return _run


def _run(*arguments: str, cwd: Path, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (SHIPWAY, *arguments),
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200"} | dict(env),
        capture_output=True,
        text=True,
        timeout=400,
    )


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Write a project's files; returns its directory."""

    def write(files: Mapping[str, str]) -> Path:
        return write_tree(tmp_path / "project", files)

    return write


@dataclass(frozen=True)
class Undisturbed:
    """One build that nothing disturbed: its cache, the environment of its commands, and what it printed."""

    files: Mapping[str, str]
    cache: Path
    env: Mapping[str, str]
    index: PackageIndex
    stdout: str

    def copy(self, place: Path, without: Collection[str] = ()) -> dict[str, str]:
        """The environment with a cache of its own, of links: its files are replaced, never written to."""
        for directory in self.cache.iterdir():
            if directory.name not in without:
                shutil.copytree(directory, place / directory.name, symlinks=True, copy_function=os.link)
        place.mkdir(exist_ok=True)
        return {**self.env, "SHIPWAY_CACHE": str(place)}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    """A built project whose Python packages are ours; for the Debian packages it needs the network."""
    root = tmp_path_factory.mktemp("undisturbed")
    files = {
        "agent.py": "async def agent(messages, ctx):\n    return 'x'\n",
        "agent.toml": 'name = "a"\nentrypoint = "agent:agent"\n',
        "requirements.txt": "dep\nother\n",
    }
    with PackageIndex(root / "index") as index:
        index.runtime()
        index.wheel("dep")
        index.wheel("other", code="TEXT = '''" + "x" * 100_000 + "'''\n")
        env = {
            "UV_DEFAULT_INDEX": index.url,
            "UV_CACHE_DIR": str(root / "uv"),
            "SHIPWAY_CACHE": str(root / "cache"),
        }
        done = _run("build", cwd=write_tree(root / "project", files), env=env)
        assert done.returncode == 0, done.stderr
        yield Undisturbed(files, root / "cache", env, index, done.stdout)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `shipway ARGUMENT…` in a process group of its own."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(
            (SHIPWAY, *arguments), cwd=cwd, env=os.environ | dict(env), start_new_session=True, **pipes
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def unfinished(*places: Path) -> list[str]:
    """Whatever is not in its place yet."""
    found = [path for place in places for path in place.rglob(".making-*")]
    return [str(path) for path in [*found, *(path for place in places for path in place.glob("tmp/*"))]]
