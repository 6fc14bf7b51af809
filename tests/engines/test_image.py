"""Docker really runs what `shipway build` made: read-only root, no shell, numeric user, whole stack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.network]

EXAMPLES = Path("examples").resolve()
SHIPWAY = Path(sys.executable).with_name("shipway")


class Docker:
    """Containers of one test, removed at its end."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.containers: list[str] = []

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run((self.program, *arguments), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, image: str, *options: str) -> str:
        name = f"shipway-test-{uuid.uuid4().hex[:8]}"
        self.containers.append(name)
        self("run", "--detach", "--name", name, "--read-only", "--tmpfs", "/tmp", *options, image)
        return name

    def logs(self, name: str) -> str:
        done = subprocess.run((self.program, "logs", name), capture_output=True, text=True)
        return done.stdout + done.stderr


@pytest.fixture
def docker(engine: Callable[[str], str]) -> Iterator[Docker]:
    docker = Docker(engine("docker"))
    yield docker
    for name in docker.containers:
        subprocess.run((docker.program, "rm", "--force", "--volumes", name), capture_output=True)


def build(example: str, directory: Path) -> dict[str, Any]:
    """A copy of the example, built and loaded; its release.json."""
    project = directory / example
    shutil.copytree(EXAMPLES / example, project, ignore=shutil.ignore_patterns(".shipway"))
    command = (SHIPWAY, "build", "--load")
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    release: dict[str, Any] = json.loads((project / ".shipway/release.json").read_text())
    assert done.stdout.strip() == release["images"]["agent"]
    return release


def wait_for(get: Callable[[], httpx2.Response], status: int, why: Callable[[], str]) -> httpx2.Response:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            answer = get()
            if answer.status_code == status:
                return answer
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(why())


def ports(docker: Docker, name: str) -> dict[str, str]:
    """Addresses on loopback of the published ports."""
    lines = docker("port", name).splitlines()
    return {
        line.partition("/")[0]: "http://" + line.rpartition("> ")[2]
        for line in lines
        if "0.0.0.0" in line or "127." in line
    }


GIVE = """
import os
for here, directories, files in os.walk("/data"):
    os.chown(here, 65532, 65532)
    for name in files:
        os.lchown(os.path.join(here, name), 65532, 65532)
"""


def give(docker: Docker, image: str, volume: tuple[str, ...]) -> None:
    """Make the volume the agent's own, as an orchestrator does (fsGroup): git refuses other people's."""
    docker("run", "--rm", "--user", "0", *volume, "--entrypoint", "/usr/bin/python3", image, "-c", GIVE)


def test_hello_runs_as_nobody_on_a_read_only_root(docker: Docker, tmp_path: Path) -> None:
    build("01-hello", tmp_path)
    publish = ("--publish", "127.0.0.1::8080", "--publish", "127.0.0.1::8081")
    name = docker.start("hello:latest", "--env", "SHIPWAY_ENV=development", "--cap-drop", "ALL", *publish)
    at = ports(docker, name)
    wait_for(lambda: httpx2.get(at["8081"] + "/readyz"), 200, lambda: docker.logs(name))
    assert httpx2.get(at["8081"] + "/healthz").status_code == 200
    answer = httpx2.post(at["8080"] + "/v1/responses", json={"input": "hello"})
    assert answer.status_code == 200
    assert "hello" in answer.json()["output"][0]["content"][0]["text"].lower()
    config = json.loads(docker("inspect", name))[0]["Config"]
    assert config["User"] == "65532:65532"
    shell = subprocess.run(
        (docker.program, "exec", name, "/bin/sh", "-c", "true"), capture_output=True, text=True
    )
    assert shell.returncode != 0
    docker("stop", "--time", "20", name)
    assert json.loads(docker("inspect", name))[0]["State"]["ExitCode"] == 0


def test_outside_development_an_agent_without_auth_refuses_to_start(docker: Docker, tmp_path: Path) -> None:
    build("01-hello", tmp_path)
    name = docker.start("hello:latest")
    assert docker("wait", name) == "1"
    assert "auth" in docker.logs(name)
    assert "Traceback" not in docker.logs(name)


def test_support_with_its_sidecar_answers_by_tools(
    docker: Docker, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """The agent and its sidecar share a network namespace, as a pod does; the model is replayed."""
    release = build("02-support", tmp_path)
    assert set(release["images"]) == {"agent", "mcp-git"}
    repository = tmp_path / "volume/repo"
    subprocess.run((sys.executable, tmp_path / "02-support/seed.py", repository), check=True)
    volume = ("--volume", f"{repository.parent}:/data")
    give(docker, "registry.example.com/support:latest", volume)
    port = free_port()
    with subprocess.Popen(
        (sys.executable, "-m", "shipway.replay", str(EXAMPLES / "02-support/replays"), "--port", str(port)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as replay:
        try:
            api, admin, relay = free_port(), free_port(), free_port()
            agent = docker.start(
                "registry.example.com/support:latest",
                *("--network", "host", *volume),
                *("--env", f"SHIPWAY_API_PORT={api}", "--env", f"SHIPWAY_ADMIN_PORT={admin}"),
                *("--env", f"SHIPWAY_RELAY_PORT={relay}", "--env", "SHIPWAY_CHECK_INTERVAL=1"),
                *(
                    "--env",
                    f"ANTHROPIC_BASE_URL=http://127.0.0.1:{port}",
                    "--env",
                    "ANTHROPIC_API_KEY=replayed",
                ),
                *("--env", "SHIPWAY_ENV=development"),
            )
            sidecar = docker.start(
                "registry.example.com/support-mcp-git:latest", "--network", "host", *volume
            )
            ready = f"http://127.0.0.1:{admin}/readyz"
            document = wait_for(
                lambda: httpx2.get(ready), 200, lambda: docker.logs(agent) + docker.logs(sidecar)
            ).json()
            assert {"agent", "mcp:time", "mcp:git", "model", "secrets"} <= set(document["checks"])
            answers = {
                question: httpx2.post(
                    f"http://127.0.0.1:{api}/v1/responses", json={"input": question}, timeout=60
                ).json()["output"][-1]["content"][0]["text"]
                for question in ("What time is it in Tokyo?", "What changed last in the repository?")
            }
            assert "Tokyo" in answers["What time is it in Tokyo?"], answers
            assert "webhook" in answers["What changed last in the repository?"], answers
            docker("kill", sidecar)
            document = wait_for(lambda: httpx2.get(ready), 503, lambda: docker.logs(agent)).json()
            assert document["checks"]["mcp:git"]["state"] == "down"
            assert document["checks"]["mcp:time"]["state"] == "up"
            docker("start", sidecar)
            wait_for(lambda: httpx2.get(ready), 200, lambda: docker.logs(agent) + docker.logs(sidecar))
        finally:
            replay.terminate()


STDIO_SERVER = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
        result["serverInfo"] = {"name": "own", "version": "1"}
    elif "id" in message:
        result = {"tools": []}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def test_a_module_of_the_project_can_be_an_mcp_server_inside(docker: Docker, tmp_path: Path) -> None:
    project = tmp_path / "own"
    (project / "own").mkdir(parents=True)
    (project / "own/__init__.py").write_text("")
    (project / "own/server.py").write_text(STDIO_SERVER)
    (project / "own/agent.py").write_text("async def agent(messages):\n    return 'x'\n")
    spec = 'name = "own"\nentrypoint = "own.agent:agent"\n[mcp.own]\nrun = "project:own.server"\n'
    (project / "agent.toml").write_text(spec)
    done = subprocess.run(
        (SHIPWAY, "build", "--load"), cwd=project, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    publish = ("--publish", "127.0.0.1::8081")
    name = docker.start("own:latest", "--env", "SHIPWAY_ENV=development", *publish)
    admin = ports(docker, name)["8081"]
    answer = wait_for(lambda: httpx2.get(admin + "/readyz"), 200, lambda: docker.logs(name))
    assert answer.json()["checks"]["mcp:own"]["state"] == "up"


def test_a_server_from_npm_runs_without_npm_in_the_image(docker: Docker, tmp_path: Path) -> None:
    project = tmp_path / "npm"
    project.mkdir()
    (project / "agent.py").write_text("async def agent(messages):\n    return 'x'\n")
    spec = 'name = "files"\nentrypoint = "agent:agent"\n[mcp.files]\nargs = ["/tmp"]\n'
    (project / "agent.toml").write_text(spec + 'run = "npm:@modelcontextprotocol/server-filesystem"\n')
    command = (SHIPWAY, "build", "--load")
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    publish = ("--publish", "127.0.0.1::8081")
    name = docker.start("files:latest", "--env", "SHIPWAY_ENV=development", *publish)
    admin = ports(docker, name)["8081"]
    answer = wait_for(lambda: httpx2.get(admin + "/readyz"), 200, lambda: docker.logs(name))
    assert answer.json()["checks"]["mcp:files"]["state"] == "up"


def test_the_same_project_makes_the_same_digest(tmp_path: Path) -> None:
    """In another directory, with other times and modes, in another cache."""
    digests = []
    for name in ("one", "two"):
        project = tmp_path / name / "01-hello"
        shutil.copytree(EXAMPLES / "01-hello", project, ignore=shutil.ignore_patterns(".shipway"))
        (project / "agent.toml").chmod(0o600 if name == "two" else 0o644)
        environ = os.environ | ({"SHIPWAY_CACHE": str(tmp_path / "cache")} if name == "two" else {})
        command = (SHIPWAY, "build")
        done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr
        digests.append(done.stdout)
    assert digests[0] == digests[1]


def test_an_edit_changes_the_last_layer_alone(tmp_path: Path) -> None:
    project = tmp_path / "01-hello"
    shutil.copytree(EXAMPLES / "01-hello", project, ignore=shutil.ignore_patterns(".shipway"))

    def layers() -> list[str]:
        subprocess.run((SHIPWAY, "build"), cwd=project, check=True, capture_output=True, timeout=400)
        layout = project / ".shipway/images"
        archive = json.loads((layout / "manifest.json").read_text())
        return list(archive[0]["Layers"])

    before = layers()
    source = project / "hello.py"
    source.write_text(source.read_text() + "\n# an edit\n")
    after = layers()
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]
