"""Control's image under real Docker: who it runs as, what it keeps, and how it joins a release."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from tests.conftest import _engine
from tests.docker import Docker
from tests.ports import free_port
from tests.postgres import PostgresServer

from shipway.plan import container

pytestmark = [pytest.mark.docker, pytest.mark.network]

SHIPWAY = Path(sys.executable).with_name("shipway")
PATIENCE_S = 90.0
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")
NOBODY = 65532
TOKENS = {role: f"a-token-that-is-for-{role}" for role in ("report", "operate")}
WHO = {"name": "desk", "environment": "prod"}
TOML = """\
name = "desk"
entrypoint = "desk:agent"
[image]
repository = "{registry}/team/desk"
[env.prod.api]
auth = "none"
"""


def shipway(*arguments: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        (SHIPWAY, *arguments), cwd=cwd, env=os.environ | env, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image's name in the engine: one of this test's own, so that nobody else's is removed."""
    engine, name = _engine("docker"), f"shipway-control-test-{uuid.uuid4().hex[:8]}:1"
    shipway("control", "image", "--load", "-t", name, cwd=tmp_path_factory.mktemp("image"))
    yield name
    subprocess.run((engine, "rmi", "--force", name), capture_output=True)


class Server:
    """A control in a container, with its records in a volume of its own."""

    def __init__(self, docker: Docker, image: str, *options: str, arguments: tuple[str, ...] = ()) -> None:
        self.docker, self.name = docker, f"shipway-test-{uuid.uuid4().hex[:8]}"
        self.url = ""
        docker.containers.append(self.name)
        lines = "\n".join(f"{role} {role}-of-tests {token}" for role, token in TOKENS.items())
        given = ("--env", f"SHIPWAY_CONTROL_TOKENS={lines}")
        docker("run", "--detach", "--name", self.name, *HARDENED, *given, *options, image, *arguments)

    def ask(self, method: str, path: str, role: str = "operate", **more: Any) -> httpx2.Response:
        url = self.url or self.docker.address(self.name, "8083")
        headers = {"authorization": f"Bearer {TOKENS[role]}"} | more.pop("headers", {})
        return httpx2.request(method, f"{url}{path}", params=WHO, headers=headers, timeout=20, **more)

    def wait(self) -> None:
        """Until it is ready."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError):
                if self.ask("GET", "/readyz").status_code == 200:
                    return
            time.sleep(0.2)
        raise AssertionError(self.logs())

    def logs(self) -> str:
        done = subprocess.run((self.docker.program, "logs", self.name), capture_output=True, text=True)
        return done.stdout + done.stderr


@pytest.fixture
def server(docker: Docker, image: str) -> Iterator[Server]:
    """With a named volume: Docker makes it the user's whose directory the image has there."""
    volume = f"shipway-test-{uuid.uuid4().hex[:8]}"
    mount = ("--mount", f"type=volume,source={volume},target=/data")
    found = Server(docker, image, *mount, "--publish", "127.0.0.1::8083")
    found.wait()
    yield found
    docker("rm", "--force", found.name)
    docker("volume", "rm", volume)


def test_it_serves_as_nobody_without_a_shell_and_writes_to_its_volume_alone(server: Server) -> None:
    docker = server.docker
    for path in ("/healthz", "/readyz"):
        docker("exec", server.name, *container.probe(8083, path))
    assert "shipway_control" in server.ask("GET", "/metrics").text
    assert (
        server.ask("GET", "/", headers={"accept": "text/html"})
        .headers["content-type"]
        .startswith("text/html")
    )
    shell = subprocess.run(
        (docker.program, "exec", server.name, "/bin/sh", "-c", "true"), capture_output=True
    )
    assert shell.returncode != 0
    config = json.loads(docker("inspect", server.name))[0]["Config"]
    assert config["User"] == f"{NOBODY}:{NOBODY}"
    assert list(config["Volumes"]) == ["/data"]
    assert [line for line in docker("diff", server.name).splitlines() if "/data" not in line] == []


def test_what_it_knows_survives_that_it_is_killed(server: Server) -> None:
    body = {"policy": {"kill": {"tools": ["rm"]}}, "reason": "INC-7"}
    put = server.ask("PUT", "/v1/policy", headers={"if-match": "*"}, json=body)
    assert put.status_code == 200, put.text
    server.docker("kill", server.name)
    server.docker("start", server.name)
    server.wait()
    held = server.ask("GET", "/v1/policy", role="report")
    assert held.json()["kill"]["tools"] == ["rm"]
    assert held.headers["etag"] == put.headers["etag"]


def test_as_first_process_it_ends_when_it_is_told(server: Server) -> None:
    server.docker("stop", "--time", "30", server.name)
    state = json.loads(server.docker("inspect", server.name))[0]["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False), server.logs()
    assert "Traceback" not in server.logs()


def test_it_keeps_what_it_knows_in_postgresql_too(
    docker: Docker, image: str, engine: Callable[[str], str]
) -> None:
    port, database = free_port(), PostgresServer(engine("postgres"), free_port())
    given = ("--env", f"SHIPWAY_CONTROL_DATABASE={database.url}", "--network", "host")
    try:
        server = Server(docker, image, *given, arguments=("--port", str(port)))
        server.url = f"http://127.0.0.1:{port}"
        server.wait()
        body = {"policy": {"kill": {"tools": ["rm"]}}, "reason": "INC-7"}
        assert server.ask("PUT", "/v1/policy", headers={"if-match": "*"}, json=body).status_code == 200
        with psycopg.connect(database.url) as connection:
            (count,) = connection.execute("SELECT count(*) FROM shipway_control.policy").fetchone() or ()
        assert count == 1
        docker("rm", "--force", server.name)
    finally:
        database.close()


def test_without_tokens_it_does_not_start(docker: Docker, image: str) -> None:
    done = subprocess.run(
        (docker.program, "run", "--rm", *HARDENED, image), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "there are no tokens, and control would listen on 0.0.0.0" in done.stderr


def test_it_is_the_same_image_from_every_cache_and_directory(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    ask = ("control", "image", "-t", "control:1")
    both = shipway(*ask, "--platform", "linux/amd64,linux/arm64", cwd=tmp_path / "one")
    own = {"SHIPWAY_CACHE": str(tmp_path / "cache")}
    alone = shipway(*ask, "--platform", "linux/amd64", cwd=tmp_path / "two", **own)
    layout = tmp_path / "one/.shipway/control-image"
    index = json.loads((layout / "index.json").read_text())["manifests"][0]
    assert both == f"control:1@{index['digest']}"
    platforms = json.loads((layout / "blobs" / index["digest"].replace(":", "/")).read_text())["manifests"]
    assert [entry["platform"]["architecture"] for entry in platforms] == ["amd64", "arm64"]
    assert alone == f"control:1@{platforms[0]['digest']}"


def test_pushed_from_a_project_it_is_rendered_by_its_digest(
    registry: Callable[..., str], docker: Docker, tmp_path: Path
) -> None:
    (tmp_path / "agent.toml").write_text(TOML.format(registry=registry()))
    (tmp_path / "desk.py").write_text("async def agent(messages): return 'hi'\n")
    shipway("build", "--push", cwd=tmp_path)
    reference = shipway("control", "image", "--push", cwd=tmp_path)
    name, _, digest = reference.partition("@")
    assert "/team/shipway-control:" in name
    shipway("render", "kubernetes", "--env", "prod", cwd=tmp_path)
    file = tmp_path / "deploy/kubernetes/prod/base/control/control.yaml"
    pulled = f"{name.rpartition(':')[0]}@{digest}"
    assert f"image: {pulled}\n" in file.read_text()
    docker("pull", pulled)
    docker.images.append(pulled)
