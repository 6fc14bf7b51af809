"""The replay's image under real Docker: alone, and in a stack that answers as the one of processes does."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.conftest import _engine
from tests.docker import Docker

from shipway.plan import container

pytestmark = [pytest.mark.docker, pytest.mark.network]

EXAMPLE = Path("examples/02-support").resolve()
SHIPWAY = Path(sys.executable).with_name("shipway")
PATIENCE_S = 240.0
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
NOBODY = 65532
HELLO = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


def shipway(*arguments: str, cwd: Path, **env: str) -> str:
    command = (SHIPWAY, *arguments)
    environ = os.environ | env
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image's name in the engine: one of this test's own, so that nobody else's is removed."""
    engine, name = _engine("docker"), f"shipway-replay-test-{uuid.uuid4().hex[:8]}:1"
    shipway("replay", "image", "--load", "-t", name, cwd=tmp_path_factory.mktemp("image"))
    yield name
    subprocess.run((engine, "rmi", "--force", name), capture_output=True)


class Replays:
    """A directory that is mounted, and the container that serves it."""

    def __init__(self, docker: Docker, image: str, directory: Path) -> None:
        self.docker, self.image, self.directory = docker, image, directory

    def start(self, *options: str, arguments: tuple[str, ...] = (), mode: str = ",readonly") -> str:
        """Start the container; returns its name."""
        name = f"shipway-test-{uuid.uuid4().hex[:8]}"
        self.docker.containers.append(name)
        volume = ("--mount", f"type=bind,source={self.directory},target=/replays{mode}")
        run = ("run", "--detach", "--name", name, *HARDENED, *volume, *options)
        self.docker(*run, self.image, *arguments)
        return name

    def logs(self, name: str) -> str:
        done = subprocess.run((self.docker.program, "logs", name), capture_output=True, text=True)
        return done.stdout + done.stderr

    def state(self, name: str) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.docker("inspect", name))[0]["State"]
        return state


@pytest.fixture
def replays(docker: Docker, image: str, tmp_path: Path) -> Replays:
    directory = tmp_path / "replays"
    directory.mkdir(mode=0o755)
    (directory / "scripted.toml").write_text('[[reply]]\nsay = "Hello from a container."\n')
    return Replays(docker, image, directory)


def until(wanted: Callable[[], object], why: Callable[[], str] = str) -> Any:
    """The first answer that is true; a connection that fails is no answer."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            if found := wanted():
                return found
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S} s: {why()}")


def serving(replays: Replays, name: str) -> str:
    """The container's address, once it answers."""
    url = replays.docker.address(name, "8090")
    until(lambda: httpx2.get(f"{url}/healthz").text == "ok", lambda: replays.logs(name))
    return url


PUBLISHED = ("--publish", "127.0.0.1::8090")


def test_it_serves_what_is_mounted_as_nobody_without_a_shell_or_anything_to_write(replays: Replays) -> None:
    name = replays.start(*PUBLISHED)
    url = serving(replays, name)
    answer = httpx2.post(f"{url}/v1/messages", json=HELLO)
    assert answer.json()["content"][0]["text"] == "Hello from a container."
    assert answer.headers["x-shipway-replay"] == "scripted.toml:1"
    shell = subprocess.run(
        (replays.docker.program, "exec", name, "/bin/sh", "-c", "true"), capture_output=True
    )
    assert shell.returncode != 0
    replays.docker("exec", name, *container.probe(8090, "/healthz"))
    config = json.loads(replays.docker("inspect", name))[0]["Config"]
    assert config["User"] == f"{NOBODY}:{NOBODY}"
    assert not config["Volumes"]
    changed = replays.docker("diff", name).splitlines()
    assert [line for line in changed if "/replays" not in line] == []


def test_its_log_is_that_of_a_process(replays: Replays, free_port: Callable[[], int]) -> None:
    name = replays.start(*PUBLISHED)
    httpx2.post(f"{serving(replays, name)}/v1/messages", json=HELLO)
    port = free_port()
    command = (sys.executable, "-m", "shipway.replay", str(replays.directory), "--port", str(port))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        begun = process.stderr.readline()
        httpx2.post(f"http://127.0.0.1:{port}/v1/messages", json=HELLO)
        process.terminate()
        logged = begun + process.stderr.read()
    logged = logged.replace(str(replays.directory), "/replays").replace(f"127.0.0.1:{port}", "0.0.0.0:8090")
    assert replays.logs(name) == logged


def test_as_first_process_it_ends_in_the_middle_of_a_stream(replays: Replays) -> None:
    events = [[i * 1000, 'event: ping\ndata: {"type": "ping"}\n\n'] for i in range(600)]
    request = {"method": "POST", "path": "/v1/messages", "body": HELLO}
    (replays.directory / "slow.json").write_text(
        json.dumps({"request": request, "response": {"events": events}})
    )
    name = replays.start(*PUBLISHED, arguments=("--speed", "1"))
    url, begun = serving(replays, name), threading.Event()

    def read() -> None:
        body = HELLO | {"stream": True}
        with (
            contextlib.suppress(httpx2.TransportError),
            httpx2.stream("POST", f"{url}/v1/messages", json=body) as answer,
        ):
            for _ in answer.iter_bytes():
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(PATIENCE_S)
    replays.docker("stop", "--time", "60", name)
    reader.join(PATIENCE_S)
    assert replays.state(name)["ExitCode"] == 0
    assert "Traceback" not in replays.logs(name)


def test_it_can_be_stopped_while_it_starts(replays: Replays) -> None:
    """A first process without a handler would ignore the signal, serve, and be killed ten seconds later."""
    replies = "".join(f'[[reply]]\nwhen = "{i}"\nsay = "x"\n' for i in range(30_000))
    (replays.directory / "many.toml").write_text(replies)
    name = replays.start()

    def ended() -> bool:
        subprocess.run((replays.docker.program, "kill", "--signal", "TERM", name), capture_output=True)
        return bool(replays.state(name)["Status"] == "exited")

    until(ended, lambda: replays.logs(name))
    assert (replays.state(name)["ExitCode"], replays.logs(name)) == (0, "")


def test_a_directory_that_is_not_mounted_or_not_readable_is_said(replays: Replays, tmp_path: Path) -> None:
    def refusal(*options: str) -> str:
        command = (replays.docker.program, "run", "--rm", *HARDENED, *options, replays.image)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        return done.stderr

    assert "/replays is not a directory" in refusal()
    replays.directory.chmod(0o700)
    assert f"/replays cannot be read by uid {NOBODY}" in refusal(
        "--volume", f"{replays.directory}:/replays:ro"
    )


def test_it_runs_as_the_owner_of_a_directory_that_only_they_may_use(replays: Replays) -> None:
    """What recording needs: a bind mount belongs to the user's own uid, and to nobody else."""
    replays.directory.chmod(0o700)
    os.chown(replays.directory, 1234, 1234)
    name = replays.start(*PUBLISHED, "--user", "1234:1234")
    assert httpx2.post(f"{serving(replays, name)}/v1/messages", json=HELLO).status_code == 200


def test_it_records_as_the_owner_of_the_directory_and_refuses_where_it_cannot_write(
    replays: Replays, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    (recorded := tmp_path / "recorded").mkdir(mode=0o755)
    os.chown(recorded, 1234, 1234)
    real, port = free_port(), free_port()
    command = (sys.executable, "-m", "shipway.replay", str(replays.directory), "--port", str(real))
    upstream = ("--record", "--upstream", f"anthropic=http://127.0.0.1:{real}")
    volume = ("--volume", f"{recorded}:/replays")
    run = (replays.docker.program, "run", "--rm", *HARDENED, *volume, "--network", "host")
    refused = subprocess.run((*run, replays.image, *upstream), capture_output=True, text=True, timeout=60)
    assert refused.returncode
    assert "cannot be written" in refused.stderr
    with (
        subprocess.Popen(command, stderr=subprocess.DEVNULL) as real_api,
        contextlib.ExitStack() as ends,
    ):
        ends.callback(real_api.terminate)
        until(lambda: httpx2.get(f"http://127.0.0.1:{real}/healthz").text == "ok")
        owner = ("--user", "1234:1234", "--network", "host")
        recorder = Replays(replays.docker, replays.image, recorded)
        name = recorder.start(*owner, arguments=("--port", str(port), *upstream), mode="")
        url = f"http://127.0.0.1:{port}"
        until(lambda: httpx2.get(f"{url}/healthz").text == "ok", lambda: recorder.logs(name))
        answer = httpx2.post(f"{url}/v1/messages", json=HELLO, headers={"x-api-key": "a-real-key"})
        assert answer.json()["content"][0]["text"] == "Hello from a container."
        replays.docker("stop", name)
    (file,) = recorded.iterdir()
    assert file.stat().st_uid == 1234
    assert json.loads(file.read_text())["request"]["body"] == HELLO


def test_it_is_the_same_image_from_every_cache_and_directory(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    both = ("--platform", "linux/amd64,linux/arm64", "-o", "layout", "-t", "replay:1")
    shipway("replay", "image", *both, cwd=tmp_path / "one")
    own = {"SHIPWAY_CACHE": str(tmp_path / "cache")}
    alone = shipway(
        "replay", "image", "--platform", "linux/amd64", "-t", "replay:1", cwd=tmp_path / "two", **own
    )
    layout = tmp_path / "one/layout"
    index, *attached = json.loads((layout / "index.json").read_text())["manifests"]
    platforms = json.loads((layout / "blobs" / index["digest"].replace(":", "/")).read_text())["manifests"]
    assert [entry["platform"]["architecture"] for entry in platforms] == ["amd64", "arm64"]
    assert alone == f"replay:1@{platforms[0]['digest']}"
    assert len([entry for entry in attached if "cyclonedx" in entry["artifactType"]]) == 2


def test_it_is_pushed_by_the_name_it_is_given_and_refused_without_one(
    registry: Callable[..., str], docker: Docker, tmp_path: Path
) -> None:
    done = subprocess.run(
        (SHIPWAY, "replay", "image", "--push"), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "names no registry; give -t REF" in done.stderr
    name = f"{registry()}/tools/replay:1"
    reference = shipway("replay", "image", "--push", "-t", name, cwd=tmp_path)
    assert reference.startswith(f"{name}@sha256:")
    pulled = reference.replace(":1@", "@")
    docker("pull", pulled)
    docker.images.append(pulled)
    assert not (tmp_path / ".shipway").exists()  # it is only pushed


# -- In a stack ----------------------------------------------------------------------------------------------

QUESTIONS = ("hello", "What time is it in Tokyo?", "What changed last in the repository?")
NOWHERE = ("api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com")
GIVE = """
import os
for here, _, files in os.walk("/data"):
    for path in (here, *(os.path.join(here, name) for name in files)):
        os.chown(path, 65532, 65532, follow_symlinks=False)
"""


class Containers:
    """The stack of a plan as an engine runs it: every container in the network of one that only holds it."""

    def __init__(self, docker: Docker, project: Path, image: str) -> None:
        self.docker, self.project = docker, project
        self.plan: Any = json.loads(shipway("plan", "stack", "--json", cwd=project))
        mapped = [f"--add-host={host}:127.0.0.1" for host in NOWHERE]
        ports = [f"--publish=127.0.0.1::{port}" for port in ("8080", "8081")]
        entry = ("--entrypoint", container.PYTHON)
        self.holder = self._run(image, *container.HOLD[1:], options=(*mapped, *ports, *entry))
        replay = self.plan["replay"]
        source = project / replay["directory"]
        volume = f"--mount=type=bind,source={source},target={replay['mount']},readonly"
        self.replay = self._run(image, "--host", "127.0.0.1", options=(*self.inside, volume))
        self.data = ("--volume", f"{project / '.shipway/data'}:/data")
        agent = self.plan["agent"]
        env = agent["env"] | replay["placeholders"] | {"SHIPWAY_CHECK_INTERVAL": "0.5"}
        env["SHIPWAY_CONFIG_JSON"] = json.dumps(self.plan["config"])
        given = [f"--env={name}={value}" for name, value in env.items()]
        tmp = ("--tmpfs", "/tmp")
        own = docker("images", "--quiet", f"{agent['image']}:latest")
        docker("run", "--rm", "--user", "0", *self.data, *entry, own, "-c", GIVE)
        self.agent = self._run(own, options=(*self.inside, *given, *self.data, *tmp))
        for sidecar in self.plan["sidecars"]:
            self._run(f"{sidecar['image']}:latest", options=(*self.inside, *self.data, *tmp))

    @property
    def inside(self) -> tuple[str, ...]:
        return ("--network", f"container:{self.holder}")

    def _run(self, image: str, *arguments: str, options: tuple[str, ...]) -> str:
        name = f"shipway-test-{uuid.uuid4().hex[:8]}"
        self.docker.containers.append(name)
        self.docker("run", "--detach", "--name", name, "--read-only", *options, image, *arguments)
        return name

    def url(self, port: str) -> str:
        return self.docker.address(self.holder, port)

    def readiness(self) -> dict[str, Any]:
        document: dict[str, Any] = httpx2.get(f"{self.url('8081')}/readyz").json()
        return document

    def model(self) -> str:
        state: str = self.readiness()["checks"]["model"]["state"]
        return state

    def logs(self) -> str:
        command = (self.docker.program, "logs", self.agent)
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout + done.stderr


@pytest.mark.long  # two stacks, one after the other
def test_in_containers_an_agent_answers_as_in_processes(
    docker: Docker, image: str, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    project = tmp_path / "support"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns(".shipway"))
    seeding = (sys.executable, project / "seed.py", project / ".shipway/data/repo")
    subprocess.run(seeding, check=True, capture_output=True)
    processes = ("--engine", "processes", "--port", str(free_port()), "--wait-timeout", "120")
    try:
        shipway("up", "-d", *processes, cwd=project)
        expected = [shipway("ask", question, cwd=project) for question in QUESTIONS]
        checks = set(json.loads(shipway("status", "--json", cwd=project))["readiness"]["checks"])
    finally:
        shipway("down", cwd=project)
    shipway("build", "--load", cwd=project)
    stack = Containers(docker, project, image)

    def ask(question: str) -> str:
        return shipway("ask", question, "--url", stack.url("8080"), cwd=project)

    until(lambda: stack.readiness()["status"] == "ready", stack.logs)
    assert [ask(question) for question in QUESTIONS] == expected
    assert set(stack.readiness()["checks"]) == checks

    script = project / "replays/scripted.toml"
    new = '[[reply]]\nwhen = "brand new"\nsay = "It was written just now."\n\n'
    script.write_text(new + script.read_text())
    assert ask("What about this brand new question?") == "It was written just now."

    docker("kill", stack.replay)
    until(lambda: stack.model() == "down", stack.logs)
    docker("start", stack.replay)
    until(lambda: stack.model() == "up", stack.logs)
    assert ask(QUESTIONS[0]) == expected[0]

    reach = "import socket\ntry: socket.create_connection(('api.anthropic.com', 443), 5)\n"
    reach += "except ConnectionRefusedError: print('refused')"
    run = ("run", "--rm", *stack.inside, "--entrypoint", container.PYTHON, image, "-c", reach)
    assert docker(*run) == "refused"
