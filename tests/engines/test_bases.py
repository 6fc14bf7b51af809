"""Bases other than `minimal`, with a real registry and real Docker."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.base_images import ARCH, BUNDLE, INDEX, MANIFEST, MINOR, PLATFORM, slim_tree, tar_of, write_image
from tests.docker import Docker

from shipway.build.registries.reference import parse_reference
from shipway.build.registries.registry import Manifest, Repository
from shipway.build.registries.transfer import Descriptor, upload

pytestmark = [pytest.mark.docker, pytest.mark.network]

SHIPWAY = Path(sys.executable).with_name("shipway")
AGENT = "async def agent(messages, ctx):\n    return 'x'\n"
Build = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout of an image like python:slim, in two layers."""
    top = tmp_path_factory.mktemp("slim")
    tree = slim_tree(top / "tree")
    (top / "above").mkdir()
    (top / "above/motd").write_text("an image of the team's\n")
    write_image(top / "layout", [tar_of(tree), tar_of(top / "above")])
    return top / "layout"


def file_of(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def publish(layout: Path, reference: str) -> str:
    """Push an OCI layout's image; returns its digest."""
    top = json.loads((layout / "index.json").read_text())["manifests"][0]
    with Repository(parse_reference(reference), {}) as repository:
        manifests = [top["digest"]]
        for digest in manifests:
            document = json.loads(file_of(layout, digest).read_bytes())
            manifests += [m["digest"] for m in document.get("manifests", ())]
            for part in (document["config"], *document["layers"]) if "config" in document else ():
                blob = Descriptor("", part["digest"], part["size"])
                upload(repository, blob, lambda blob=blob: file_of(layout, blob.digest))
        for digest in reversed(manifests):
            data = file_of(layout, digest).read_bytes()
            kind = INDEX if b'"manifests"' in data else MANIFEST
            name = parse_reference(reference).wanted if digest == top["digest"] else digest
            repository.put_manifest(Manifest(kind, digest, data), name)
    return str(top["digest"])


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    def write(base: str, files: Mapping[str, str] = {}, more: str = "") -> Path:
        directory = tmp_path / "project"
        directory.mkdir(exist_ok=True)
        spec = (
            f'name = "on-base"\nentrypoint = "agent:agent"\n[api]\nauth = "none"\n[image]\nbase = "{base}"\n'
        )
        for name, text in {"agent.py": AGENT, "agent.toml": spec + more, **files}.items():
            (directory / name).write_text(text)
        return directory

    return write


def test_both_roads_make_the_same_image_on_a_shared_base(
    registry: Callable[..., str],
    project: Callable[..., Path],
    docker: Docker,
    hadolint: Callable[..., str],
    tmp_path: Path,
) -> None:
    """The base has a part of the environment already, with bytecode and console scripts."""
    reference = f"{registry()}/team/agent-base:1"
    (tmp_path / "base").mkdir()
    (tmp_path / "base/agent.toml").write_text('name = "agent-base"\n')
    (tmp_path / "base/requirements.txt").write_text("httpx==0.28.1\n")
    done(shipway(tmp_path / "base", "build", "--base-only", "--push", "-t", reference))
    directory = project(reference, {"requirements.txt": "httpx==0.28.1\nmsgspec==0.20.0\n"})
    done(shipway(directory, "build", "--load"))
    docker.images.append("on-base:latest")
    done(shipway(directory, "render", "dockerfile"))
    assert hadolint(str(directory / "Dockerfile")) == ""
    pins = (directory / ".shipway/docker/agent" / ARCH / "dependencies/pins.txt").read_text()
    assert pins.startswith("msgspec==")
    assert len(pins.splitlines()) == 1
    rendered = docker.build(directory)
    assert docker.tree("on-base:latest") == docker.tree(rendered)
    config = json.loads(docker("image", "inspect", "on-base:latest"))[0]["Config"]
    path = "PATH=/app/.venv/bin:/usr/bin:/bin"
    assert [word for word in config["Env"] if word.startswith("PATH=")] == [path]
    added = docker("history", "--format", "{{.CreatedBy}}|{{.Size}}", "--human=false", rendered).splitlines()
    copied = [line.partition("|")[2] for line in added if "COPY /made" in line]
    assert len(copied) == 3
    assert sum(map(int, copied)) < 5_000_000, "nothing of the base comes again"


def shipway(directory: Path, *arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = os.environ | ({"SHIPWAY_CACHE": str(cache)} if cache else {})
    command = (SHIPWAY, *arguments)
    return subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=400)


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


SERVED = '[mcp.time]\nrun = "pypi:mcp-server-time==2026.10.19"\n'


def test_docker_runs_an_agent_with_its_server_on_a_registrys_base(
    registry: Callable[..., str], slim: Path, project: Callable[..., Path], docker: Docker
) -> None:
    reference = f"{registry()}/team/python:{MINOR}"
    publish(slim, reference)
    directory = project(reference, {"requirements.txt": "msgspec==0.20.0\n"}, SERVED)
    done(shipway(directory, "build", "--load"))
    image = "on-base:latest"
    docker.images.append(image)
    config = json.loads(docker("image", "inspect", image))[0]["Config"]
    assert config["Labels"]["vendor"] == "Example"
    assert {"TEAM=platform", "LANG=C.UTF-8"} <= set(config["Env"])
    assert "PATH=/app/.venv/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/bin" in config["Env"]
    assert (config["User"], config["Cmd"]) == ("65532:65532", None)
    options = (
        "--detach",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--cap-drop",
        "ALL",
        "--publish",
        "127.0.0.1::8081",
    )
    name = docker.container("run", image, *options)
    checks = ready(docker.address(name, "8081"))
    assert {check: checks[check]["state"] for check in ("agent", "mcp:time")} == {
        "agent": "up",
        "mcp:time": "up",
    }
    script = (
        "import msgspec, shipway_runtime.main as m, sys, os; "
        "print(sys.version_info[:2], os.path.exists(m.__cached__), msgspec.__version__)"
    )
    output = docker("exec", name, "/app/.venv/bin/python", "-c", script)
    assert output == f"({MINOR.replace('.', ', ')}) True 0.20.0"


def ready(url: str) -> dict[str, Any]:
    """The checks of /readyz, once it answers 200."""
    deadline = time.monotonic() + 60
    answer = None
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            answer = httpx2.get(f"{url}/readyz")
            if answer.status_code == 200:
                return dict(answer.json()["checks"])
        time.sleep(0.2)
    raise AssertionError(answer.text if answer else "no answer")


def test_an_image_names_the_one_that_it_stands_on(
    registry: Callable[..., str], slim: Path, project: Callable[..., Path], tmp_path: Path
) -> None:
    """Also a shared base, whose distributions are the agents too; a base has no version of the project."""
    host = registry()
    slim_name, shared = f"{host}/team/python:{MINOR}", f"{host}/team/agent-base:1"
    slim_digest = publish(slim, slim_name)
    files = {"pyproject.toml": "[project]\nname='a'\nversion='2.1'\ndependencies=['msgspec==0.20.0']\n"}
    directory = project(slim_name, files)
    made = done(shipway(directory, "build", "--base-only", "-t", shared, "--push", "-o", str(tmp_path / "1")))
    annotations, bill, provenance = documents(tmp_path / "1")
    assert annotations["base.name"] == slim_name
    assert annotations["base.digest"] == slim_digest
    assert "version" not in annotations
    below = {"name": slim_name, "digest": {"sha256": slim_digest.removeprefix("sha256:")}}
    assert below in provenance["predicate"]["buildDefinition"]["resolvedDependencies"]
    components = {component["name"]: component for component in bill["components"]}
    assert components[slim_name]["version"] == slim_digest
    assert {slim_name, "msgspec"} <= set(components)

    done(shipway(project(shared, files), "build", "-o", str(tmp_path / "2")))
    annotations, bill, _ = documents(tmp_path / "2")
    assert annotations["base.name"] == shared
    assert annotations["base.digest"] == made.rpartition("@")[2]
    assert annotations["version"] == "2.1"
    assert {shared, "msgspec", "shipway-runtime"} <= {component["name"] for component in bill["components"]}


def documents(layout: Path) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
    """An image's annotations, without what begins them all, and what is attached to it."""
    read = [
        json.loads(file_of(layout, entry["digest"]).read_bytes())
        for entry in json.loads((layout / "index.json").read_text())["manifests"]
    ]
    image, *attached = read
    bill, provenance = (
        json.loads(file_of(layout, manifest["layers"][0]["digest"]).read_bytes()) for manifest in attached
    )
    prefix = "org.opencontainers.image."
    return {k.removeprefix(prefix): v for k, v in image["annotations"].items()}, bill, provenance


def test_what_is_locked_stays_when_the_tag_moves(
    registry: Callable[..., str], slim: Path, project: Callable[..., Path], tmp_path: Path
) -> None:
    reference = f"{registry()}/team/python:{MINOR}"
    digest = publish(slim, reference)
    directory = project(reference)
    done(shipway(directory, "lock"))
    lock = (directory / "shipway.lock").read_text()
    assert f'digest = "{digest}"' in lock
    before = done(shipway(directory, "build", "--locked"))
    moved = slim_moved(tmp_path)
    publish(moved, reference)
    assert done(shipway(directory, "build", "--locked", cache=tmp_path / "empty")) == before
    upgraded = shipway(directory, "lock", "--upgrade")
    assert f"base {reference}: image {digest[:19]} -> sha256:" in upgraded.stderr
    assert done(shipway(directory, "build", "--locked")) != before


def slim_moved(top: Path) -> Path:
    write_image(top / "moved", [tar_of(slim_tree(top / "moved-tree"))])
    return top / "moved"


def test_an_empty_runner_takes_layers_from_the_cache_and_downloads_no_base(
    registry: Callable[..., str], slim: Path, project: Callable[..., Path], tmp_path: Path
) -> None:
    host = registry()
    publish(slim, f"{host}/team/python:{MINOR}")
    directory = project(f"{host}/team/python:{MINOR}", {"requirements.txt": "msgspec==0.20.0\n"})
    done(shipway(directory, "lock"))
    target = ("-t", f"{host}/team/agent:1", "--push")
    first = done(shipway(directory, "build", "--locked", *target, "--cache-to", f"{host}/cache"))
    again = shipway(
        directory, "build", "--locked", *target, "--cache-from", f"{host}/cache", cache=tmp_path / "empty"
    )
    assert done(again) == first
    assert "installing" not in again.stderr
    assert "unpacking" not in again.stderr
    assert "no layout written" in again.stderr
    blobs = {path.name: path.stat().st_size for path in (tmp_path / "empty/blobs/sha256").iterdir()}
    assert max(blobs.values()) < 100_000, "documents, and no layer"
    assert "sent 0 blobs" in again.stderr
    (directory / "agent.py").write_text(AGENT + "# an edit\n")
    edited = shipway(
        directory, "build", "--locked", *target, "--cache-from", f"{host}/cache", cache=tmp_path / "empty"
    )
    assert done(edited) != first
    assert "unpacking the base" in edited.stderr, "its Python compiles the edit"


def test_both_roads_make_the_same_app_on_a_registrys_base(
    registry: Callable[..., str],
    slim: Path,
    project: Callable[..., Path],
    docker: Docker,
    hadolint: Callable[..., str],
) -> None:
    reference = f"{registry()}/team/python:{MINOR}"
    digest = publish(slim, reference)
    directory = project(reference, {"requirements.txt": "msgspec==0.20.0\n"})
    done(shipway(directory, "build", "--load"))
    docker.images.append("on-base:latest")
    done(shipway(directory, "render", "dockerfile"))
    text = (directory / "Dockerfile").read_text()
    assert f"FROM {reference.rpartition(':')[0]}@{digest} AS base" in text
    assert hadolint(str(directory / "Dockerfile")) == ""
    ours, theirs = docker.tree("on-base:latest"), docker.tree(docker.build(directory))
    app = {path: entry for path, entry in ours.items() if path.startswith("app")}
    assert len(app) > 100
    assert {path: entry for path, entry in theirs.items() if path.startswith("app")} == app
    assert ours == theirs


@pytest.fixture
def company(engine: Callable[[str], str], tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A certificate authority, and the address of a server whose certificate it signed."""
    openssl = engine("openssl")
    ca, key, request = (tmp_path / f"corp-ca.{kind}" for kind in ("pem", "key", "csr"))

    def run(*arguments: str) -> None:
        subprocess.run((openssl, *arguments), check=True, capture_output=True, cwd=tmp_path)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 insists on it
    run(*new, "/CN=Example CA", "-x509", "-days", "2", *usage, "-keyout", key.name, "-out", ca.name)
    run(*new, "/CN=127.0.0.1", "-keyout", "server.key", "-out", request.name)
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    sign = ("x509", "-req", "-days", "2", "-CAcreateserial", "-extfile", "names", "-in", request.name)
    run(*sign, "-CA", ca.name, "-CAkey", key.name, "-out", "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield ca, f"https://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).status)"


@pytest.mark.parametrize("kind", ["minimal", "image"])
def test_the_image_trusts_the_companys_ca_on_both_roads(
    kind: str,
    company: tuple[Path, str],
    registry: Callable[..., str],
    slim: Path,
    project: Callable[..., Path],
    docker: Docker,
) -> None:
    ca, url = company
    base = f"{registry()}/team/python:{MINOR}" if kind == "image" else "minimal"
    if kind == "image":
        publish(slim, base)
    directory = project(base, {"corp-ca.pem": ca.read_text()}, 'ca = "corp-ca.pem"\n')
    done(shipway(directory, "build", "--load"))
    docker.images.append("on-base:latest")
    done(shipway(directory, "render", "dockerfile"))
    ours, theirs = docker.tree("on-base:latest"), docker.tree(rendered := docker.build(directory))
    assert ours[BUNDLE] == theirs[BUNDLE]
    assert ours == theirs
    for image in ("on-base:latest", rendered):
        python = ("--network", "host", "--rm", "--entrypoint", "/app/.venv/bin/python")
        assert docker("run", *python, image, "-c", FETCH, url) == "200"


def test_a_base_without_the_platform_says_what_it_has(
    registry: Callable[..., str], slim: Path, project: Callable[..., Path]
) -> None:
    reference = f"{registry()}/team/python:{MINOR}"
    publish(slim, reference)
    other = "linux/arm64" if PLATFORM == "linux/amd64" else "linux/amd64"
    result = shipway(project(reference), "build", "--platform", other)
    assert result.returncode == 1
    assert f"expected an image for {other}, but it is for {PLATFORM}" in result.stderr


def test_a_base_that_is_not_there(registry: Callable[..., str], project: Callable[..., Path]) -> None:
    result = shipway(project(f"{registry()}/team/nothing:1"), "build")
    assert result.returncode == 1
    assert "there is no image 1" in result.stderr
    assert "check the name and the tag" in result.stderr
    assert "Traceback" not in result.stderr
