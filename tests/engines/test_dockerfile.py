"""Docker builds what `shipway render dockerfile` wrote: the tree of `shipway build`, and its behaviour."""

from __future__ import annotations

import base64
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.docker import Docker, Tree
from tests.package_index import PackageIndex, source_tree, write_tree

from shipway.build.debian.mirrors import find_mirrors

Hadolint = Callable[..., str]

pytestmark = [pytest.mark.docker, pytest.mark.network]

EXAMPLES = Path("examples").resolve()
SHIPWAY = Path(sys.executable).with_name("shipway")


def copied(example: str, directory: Path) -> Path:
    project = directory / example
    shutil.copytree(EXAMPLES / example, project, ignore=shutil.ignore_patterns(".shipway", "__pycache__"))
    return project


def shipway(project: Path, *arguments: str, environ: Mapping[str, str] = {}) -> list[str]:
    command = (SHIPWAY, *arguments)
    env = os.environ | dict(environ)
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def answer(url: str, status: int, why: Callable[[], str]) -> httpx2.Response:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            response = httpx2.get(url)
            if response.status_code == status:
                return response
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(why())


def assert_same(ours: Tree, theirs: Tree) -> None:
    differing = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
    assert not differing, sorted((p, ours.get(p), theirs.get(p)) for p in differing)[:10]


def test_support_and_its_sidecar_are_the_same_by_both_roads(docker: Docker, tmp_path: Path) -> None:
    """The whole root file system, base included: paths, types, modes, owners, contents, links.

    So the CA that was trusted while installing is not in the image, and neither is what the plan leaves out.
    """
    project = copied("02-support", tmp_path)
    for file in (project / "src/support/agent.py", project / "prompts/system.md"):
        file.chmod(0o600)  # a mode of this machine does not matter
    (project / ".env").write_text("SECRET=1")
    shipway(project, "build", "--load")
    names = [Path(line).name for line in shipway(project, "render", "dockerfile")]
    assert names == ["Dockerfile", "Dockerfile.mcp-git"]
    loaded = ("registry.example.com/support:latest", "registry.example.com/support-mcp-git:latest")
    for name, image in zip(names, loaded, strict=True):
        tree = same_tree(docker, image, docker.build(project, name))
        assert sum(path.startswith("app/") for path in tree) > 1000
        assert any(path.endswith(".pyc") and path.startswith("app/") for path in tree)


def same_tree(docker: Docker, ours: str, rendered: str) -> Tree:
    """The tree that both images have, with the same configuration."""
    tree = docker.tree(ours)
    assert_same(tree, docker.tree(rendered))
    configs = [json.loads(docker("inspect", image))[0]["Config"] for image in (ours, rendered)]
    for key in ("User", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts"):
        assert configs[0].get(key) == configs[1].get(key), key
    assert sorted(configs[0]["Env"]) == sorted(configs[1]["Env"])
    return tree


AGENT = "async def agent(messages):\n    return 'x'\n"
SERVERS = """\
name = "npm-servers"
entrypoint = "agent:agent"
[mcp.files]
run = "npm:@modelcontextprotocol/server-filesystem"
args = ["/tmp"]
[mcp.memory]
run = "npm:@modelcontextprotocol/server-memory"
shape = "sidecar"
optional = true
"""


def npm_servers(directory: Path) -> Path:
    """A project with a server from npm inside the agent's image, and one beside it."""
    return write_tree(directory / "npm-servers", {"agent.toml": SERVERS, "agent.py": AGENT})


@pytest.mark.long
def test_servers_from_npm_are_the_same_by_both_roads(docker: Docker, tmp_path: Path) -> None:
    """Both from one lock; the sidecar's image and the agent's have different servers on the same Node."""
    project = npm_servers(tmp_path)
    shipway(project, "lock")
    shipway(project, "build", "--locked", "--load")
    names = [Path(line).name for line in shipway(project, "render", "dockerfile")]
    assert names == ["Dockerfile", "Dockerfile.mcp-memory"]
    agent, sidecar = (docker.build(project, name) for name in names)
    for ours, rendered, server in (
        ("npm-servers:latest", agent, "files"),
        ("npm-servers-mcp-memory:latest", sidecar, "memory"),
    ):
        tree = same_tree(docker, ours, rendered)
        assert tree[f"app/mcp/{server}/bin/node"][-1] == "/app/node/bin/node"
        assert f"app/mcp/{server}/node_modules/@modelcontextprotocol/sdk/package.json" in tree
        assert "app/node/bin/npm" not in tree
        assert not any(path.endswith((".npmrc", "package-lock.json")) for path in tree)
    options = ("--detach", "--read-only", "--tmpfs", "/tmp", "--env", "SHIPWAY_ENV=development")
    container = docker.container("run", agent, *options, "--publish", "127.0.0.1::8081")
    admin = docker.address(container, "8081")
    ready = answer(admin + "/readyz", 200, lambda: docker("logs", container))
    assert ready.json()["checks"]["mcp:files"]["state"] == "up"


@pytest.fixture
def made_here(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A project with a path dependency and a source distribution, and where the latter is on an index."""
    write_tree(tmp_path / "core", source_tree("our_core"))
    files = {
        "agent.toml": 'name = "made-here"\nentrypoint = "agent:agent"\n',
        "agent.py": f"import our_core, only_source\n{AGENT}",
        "requirements.txt": "../core\nonly-source\nsix==1.17.0\n",
    }
    with PackageIndex(tmp_path / "index") as index:
        index.sdist("only_source")
        yield write_tree(tmp_path / "made-here", files), {"UV_INDEX": index.url}


def test_wheels_that_were_built_here_go_into_the_context(
    docker: Docker, made_here: tuple[Path, dict[str, str]]
) -> None:
    """No index is asked for them while Docker builds: it does not know of the one that has the source."""
    project, environ = made_here
    shipway(project, "build", "--load", environ=environ)
    shipway(project, "render", "dockerfile", environ=environ)
    tree = same_tree(docker, "made-here:latest", docker.build(project))
    packages = "app/.venv/lib/python3.13/site-packages"
    assert {f"{packages}/our_core.py", f"{packages}/only_source.py", f"{packages}/six.py"} <= tree.keys()
    (wheel,) = project.glob(".shipway/docker/agent/amd64/dependencies/our_core-*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more.py", "")
    with pytest.raises(AssertionError, match=r"(?i)hash mismatch"):
        docker.build(project)


@pytest.fixture
def behind_a_proxy(tmp_path: Path) -> Iterator[tuple[dict[str, str], list[str], str]]:
    """The environment of a machine whose index is found by a proxy alone, what that was asked for, and the
    version that the index has."""
    asked: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = httpx2.get(
                self.path.replace("http://packages.invalid", index.url.removesuffix("/simple"))
            )
            self.send_response(found.status_code)
            self.send_header("Content-Type", found.headers["Content-Type"])
            self.send_header("Content-Length", str(len(found.content)))
            self.end_headers()
            self.wfile.write(found.content)

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with (
        PackageIndex(tmp_path / "index") as index,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy,
    ):
        index.runtime()
        index.wheel("only_here", version := f"1.{uuid.uuid4().int % 10**9}")  # which no cache has
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        address = f"http://127.0.0.1:{proxy.server_port}"
        yield {"HTTP_PROXY": address, "UV_DEFAULT_INDEX": "http://packages.invalid/simple"}, asked, version
        proxy.shutdown()


def test_both_roads_find_an_index_behind_a_proxy(
    docker: Docker, behind_a_proxy: tuple[dict[str, str], list[str], str], tmp_path: Path
) -> None:
    environ, asked, version = behind_a_proxy
    files = {
        "agent.toml": 'name = "behind"\nentrypoint = "agent:agent"\n',
        "agent.py": AGENT,
        "requirements.txt": f"only-here=={version}\n",
    }
    project = write_tree(tmp_path / "behind", files)
    mirror = {"http_proxy": environ["HTTP_PROXY"], "NO_PROXY": ",".join(debian_hosts())}
    shipway(project, "build", "--load", environ={**environ, **mirror})
    assert any(path.endswith(".whl") for path in asked)
    shipway(project, "render", "dockerfile", environ={**environ, **mirror})
    asked.clear()
    arguments = [word for name, value in environ.items() for word in ("--build-arg", f"{name}={value}")]
    same_tree(docker, "behind:latest", docker.build(project, options=arguments))
    assert any(path.endswith(".whl") for path in asked)
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", docker.images[-1])
    assert "packages.invalid" not in history
    assert environ["HTTP_PROXY"] not in history


def debian_hosts() -> list[str]:
    """Where the host's own apt sources are: not behind the test's proxy."""
    return [urlsplit(mirror.url).hostname or "" for mirror in find_mirrors(None, os.environ)]


def test_hello_answers_from_a_context_of_its_own(docker: Docker, tmp_path: Path) -> None:
    project = copied("01-hello", tmp_path)
    context = tmp_path / "context"
    shipway(project, "render", "dockerfile", "-o", str(context))
    shutil.rmtree(project)
    options = ("--detach", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    published = ("--publish", "127.0.0.1::8080", "--publish", "127.0.0.1::8081")
    name = docker.container(
        "run", docker.build(context), *options, *published, "--env", "SHIPWAY_ENV=development"
    )
    admin = docker.address(name, "8081")
    answer(admin + "/readyz", 200, lambda: docker("logs", name))
    assert httpx2.get(admin + "/healthz").status_code == 200
    turn = httpx2.post(docker.address(name, "8080") + "/v1/responses", json={"input": "hello"})
    assert turn.status_code == 200
    assert "hello" in turn.json()["output"][0]["content"][0]["text"].lower()
    docker("stop", "--time", "20", name)
    assert json.loads(docker("inspect", name))[0]["State"]["ExitCode"] == 0


def test_support_takes_a_turn(docker: Docker, tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Its inside server answers by a tool; the sidecar, which is optional nowhere, runs beside it."""
    project = copied("02-support", tmp_path)
    shipway(project, "render", "dockerfile")
    repository = tmp_path / "volume/repo"
    subprocess.run((sys.executable, project / "seed.py", repository), check=True)
    for path in (repository.parent, *repository.parent.rglob("*")):
        os.chown(path, 65532, 65532, follow_symlinks=False)
    agent, sidecar = docker.build(project), docker.build(project, "Dockerfile.mcp-git")
    port, api, admin, relay = (free_port() for _ in range(4))
    command = (
        sys.executable,
        "-m",
        "shipway.replay",
        str(EXAMPLES / "02-support/replays"),
        "--port",
        str(port),
    )
    environ = {
        "SHIPWAY_API_PORT": str(api),
        "SHIPWAY_ADMIN_PORT": str(admin),
        "SHIPWAY_RELAY_PORT": str(relay),
        "SHIPWAY_CHECK_INTERVAL": "1",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
        "ANTHROPIC_API_KEY": "replayed",
        "SHIPWAY_ENV": "development",
    }
    shared = ("--detach", "--read-only", "--tmpfs", "/tmp", "--network", "host")
    volume = ("--volume", f"{repository.parent}:/data")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as replay:
        try:
            variables = (word for name, value in environ.items() for word in ("--env", f"{name}={value}"))
            name = docker.container("run", agent, *shared, *volume, *variables)
            docker.container("run", sidecar, *shared, *volume)
            answer(f"http://127.0.0.1:{admin}/readyz", 200, lambda: docker("logs", name))
            question = {"input": "What time is it in Tokyo?"}
            turn = httpx2.post(f"http://127.0.0.1:{api}/v1/responses", json=question, timeout=60).json()
            assert "Tokyo" in turn["output"][-1]["content"][0]["text"], turn
        finally:
            replay.terminate()


def test_a_wheel_that_is_not_what_the_pins_say_is_refused(docker: Docker, tmp_path: Path) -> None:
    project = copied("01-hello", tmp_path)
    shipway(project, "render", "dockerfile")
    pins = project / ".shipway/docker/agent/amd64/dependencies/pins.txt"
    text = pins.read_text()
    digests = {word for word in text.split() if word.startswith("--hash=sha256:")}
    for digest in digests:
        text = text.replace(digest, f"--hash=sha256:{'0' * 64}")
    pins.write_text(text)
    with pytest.raises(AssertionError, match=r"(?i)hash"):
        docker.build(project)


@pytest.mark.parametrize("example", ["01-hello", "02-support", "npm-servers"])
def test_hadolint_finds_nothing(hadolint: Hadolint, example: str, tmp_path: Path) -> None:
    project = npm_servers(tmp_path) if example == "npm-servers" else EXAMPLES / example
    files = shipway(project, "render", "dockerfile", "-o", str(tmp_path))
    assert hadolint(*files) == ""


def test_the_page_of_the_runtime_shows_a_clean_dockerfile(hadolint: Hadolint, tmp_path: Path) -> None:
    page = Path("docs/reference/dockerfile.md").read_text()
    (example,) = re.findall(r"```dockerfile\n(.*?)```", page, re.DOTALL)
    (tmp_path / "Dockerfile").write_text(example)
    assert hadolint(str(tmp_path / "Dockerfile")) == ""


def test_a_private_index_is_asked_with_the_secrets_credentials(docker: Docker, tmp_path: Path) -> None:
    """uv takes the index from one secret and the password for it from another; the index has no package."""
    seen: list[str | None] = []

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_error(404 if self.headers["Authorization"] else 401)

        def log_message(self, *arguments: object) -> None:
            pass

    context = tmp_path / "context"
    shipway(copied("01-hello", tmp_path), "render", "dockerfile", "-o", str(context))
    pins = context / ".shipway/docker/agent/amd64/dependencies/pins.txt"
    pins.write_text(f"# {uuid.uuid4()}\n{pins.read_text()}")  # a secret does not void Docker's own cache
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/simple"
            (tmp_path / "uv.toml").write_text(f'[[index]]\nurl = "{url}"\ndefault = true\n')
            (tmp_path / "netrc").write_text("machine 127.0.0.1 login ci password hunter2\n")
            secrets = (f"id=uv,src={tmp_path}/uv.toml", f"id=netrc,src={tmp_path}/netrc")
            with pytest.raises(AssertionError, match="not found"):
                docker.build(context, secrets=secrets)
        finally:
            server.shutdown()
    assert "Basic " + base64.b64encode(b"ci:hunter2").decode() in seen
