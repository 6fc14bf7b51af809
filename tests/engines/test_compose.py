"""compose.yaml, put before both versions of Compose and run by real Docker: what a pod does when parts of it
die, what may change while it runs, and what the agent's container may not do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.compose import Compose, second_version, shipway
from tests.conftest import _engine
from tests.ports import free_port

from shipway.plan import container

pytestmark = [pytest.mark.docker, pytest.mark.network]

EXAMPLES = Path("examples").resolve()
GOLDEN = sorted(EXAMPLES.glob("*/golden/compose/*/compose.yaml"))
SERVER = "pypi:mcp-server-time==2026.10.19"
TOML = f"""\
name = "harbour"
entrypoint = "harbour:agent"
[api]
auth = "none"
[secrets]
CRM_KEY = "file"
[storage]
path = "/data"
[health]
grace = "20s"
[resources]
memory = "200Mi"
[mcp.clock]
shape = "sidecar"
run = "{SERVER}"
storage = true
[mcp.zones]
shape = "service"
run = "{SERVER}"
"""
AGENT = """\
import asyncio
import pathlib
import socket

def reach(host, port):
    try:
        socket.create_connection((host, port), 3).close()
    except OSError as error:
        return type(error).__name__
    return "reached"

def write(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return error.strerror
    return "written"

async def agent(messages, ctx):
    verb, *words = messages[-1]["content"].split()
    if verb == "count":
        for number in range(int(words[0])):
            yield f"{number} "
            await asyncio.sleep(0.5)
    elif verb == "reach":
        yield reach(words[0], int(words[1]))
    elif verb == "write":
        yield write(words[0])
    elif verb == "secret":
        yield ctx.secret("CRM_KEY")
    elif verb == "eat":
        yield str(len(b"x" * int(words[0])))
"""


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> str:
    return second_version(tmp_path_factory.mktemp("compose") / "venv")


@pytest.fixture(scope="session", params=["1.29", "2"])
def program(request: pytest.FixtureRequest) -> str:
    if request.param == "2":
        found: str = request.getfixturevalue("second")
        return found
    return _engine("docker-compose")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its images are in the engine."""
    root = tmp_path_factory.mktemp("harbour")
    (root / "agent.toml").write_text(TOML)
    (root / "harbour.py").write_text(AGENT)
    engine = _engine("docker")
    shipway("build", "--load", cwd=root)
    yield root
    images = ("harbour", "harbour-mcp-clock", "harbour-mcp-zones")
    subprocess.run((engine, "rmi", "--force", *images), capture_output=True)


@contextlib.contextmanager
def running(program: str, project: Path, directory: Path) -> Iterator[Compose]:
    """The project, rendered and up; nothing of it is left."""
    shipway("render", "compose", "-o", str(directory), cwd=project)
    compose = Compose(program, _engine("docker"), directory)
    compose.take(free_port(), free_port())
    compose.hurry("agent", "mcp-clock")
    keep_secret(compose, "first")
    try:
        compose("up", "-d")
        compose.wait_until_ready()
        yield compose
    finally:
        compose.down()
        assert compose.left() == []


@pytest.fixture(scope="module")
def stack(second: str, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    with running(second, project, tmp_path_factory.mktemp("rendered")) as compose:
        yield compose


def keep_secret(compose: Compose, value: str) -> None:
    """As people do: written beside it, and renamed."""
    new = compose.directory / "secrets/.new"
    new.write_text(value)
    new.replace(compose.directory / "secrets/CRM_KEY")


# -- The file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", GOLDEN, ids=lambda path: f"{path.parts[-5]}-{path.parent.name}")
def test_both_versions_of_compose_take_it(file: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in (file.parent / ".env").read_text().splitlines():
        if line.endswith("="):
            monkeypatch.setenv(line.removesuffix("="), "given")
    assert Compose(program, _engine("docker"), file.parent)("config", "--services").split()


def test_what_is_missing_is_named_before_anything_is_touched(program: str) -> None:
    directory = next(file.parent for file in GOLDEN if file.parent.name == "prod")
    said = Compose(program, _engine("docker"), directory)("up", "-d", fails=True)
    assert re.search(
        r"write (ANTHROPIC_API_KEY|CONTROL_\w+_TOKEN) into .env", said
    )  # whichever it meets first


# -- As a pod does -------------------------------------------------------------------------------------------


@pytest.mark.long
def test_loopback_is_the_pods(stack: Compose) -> None:
    assert stack.ask("reach 127.0.0.1 8100") == "reached"  # the sidecar
    assert stack.ask("reach harbour-mcp-zones 8100") == "reached"
    assert stack.readiness()["checks"]["mcp:zones"]["state"] == "up"


@pytest.mark.long
def test_a_sidecar_that_dies_comes_back_and_the_agent_never_ends(stack: Compose) -> None:
    agent, sidecar = stack.pid("agent"), stack.pid("mcp-clock")
    stack.kill("mcp-clock")
    stack.until(lambda: stack.pid("mcp-clock") not in (0, sidecar))
    stack.until(lambda: stack.ask("reach 127.0.0.1 8100") == "reached")
    stack.wait_until_ready()
    assert stack.pid("agent") == agent


@pytest.mark.long
def test_readiness_falls_with_a_sidecar_that_stays_away_and_recovers(stack: Compose) -> None:
    agent = stack.pid("agent")
    stack("stop", "mcp-clock")
    stack.until(lambda: stack.check("mcp:clock") == "down")
    assert stack.readiness()["status"] == "unready"
    stack.until(lambda: stack.inspect("agent")["State"]["Health"]["Status"] == "unhealthy")
    stack("start", "mcp-clock")
    stack.wait_until_ready()
    stack.until(lambda: stack.inspect("agent")["State"]["Health"]["Status"] == "healthy")
    assert stack.pid("agent") == agent


@pytest.mark.long
def test_an_agent_that_dies_comes_back_and_its_sidecar_never_ends(stack: Compose) -> None:
    agent, sidecar = stack.pid("agent"), stack.pid("mcp-clock")
    stack.kill("agent")
    stack.until(lambda: stack.pid("agent") not in (0, agent))
    stack.wait_until_ready()
    assert stack.pid("mcp-clock") == sidecar


@pytest.mark.long
def test_a_pod_that_dies_takes_everything_along_and_is_joined_again(stack: Compose) -> None:
    """The agent is left in a network that has no way out; its own health check ends it."""
    before = stack.pid("pod"), stack.pid("agent"), stack.pid("mcp-clock")
    stack.kill("pod")
    stack.until(lambda: stack.pid("pod") not in (0, before[0]))
    stack.until(lambda: stack.readiness()["status"] == "ready")
    assert stack.ask("reach 127.0.0.1 8100") == "reached"
    assert stack.pid("agent") != before[1]
    assert stack.pid("mcp-clock") != before[2]


@pytest.mark.long
def test_up_again_mends_a_pod_that_was_removed(stack: Compose) -> None:
    stack("rm", "--stop", "--force", "pod")
    stack("up", "-d")
    stack.until(lambda: stack.readiness()["status"] == "ready")
    assert stack.ask("reach 127.0.0.1 8100") == "reached"


# -- What changes while it runs ------------------------------------------------------------------------------


@pytest.mark.long
def test_a_secret_that_is_replaced_is_seen_by_the_next_turn(stack: Compose) -> None:
    assert stack.ask("secret") == "first"
    agent = stack.pid("agent")
    keep_secret(stack, "second")
    assert stack.ask("secret") == "second"
    assert stack.pid("agent") == agent
    keep_secret(stack, "first")


@pytest.mark.long
def test_a_secret_that_nobody_but_its_owner_may_read_is_named(stack: Compose) -> None:
    file = stack.directory / "secrets/CRM_KEY"
    keep_secret(stack, "third")
    os.chown(file, 0, 0)
    file.chmod(0o600)
    stack("restart", "agent")
    stack.until(lambda: stack.check("secrets") == "down")
    said = stack.readiness()["checks"]["secrets"]["last_error"]
    assert said == "CRM_KEY: /run/secrets/CRM_KEY cannot be read by uid 65532"
    keep_secret(stack, "first")
    stack.wait_until_ready()


@pytest.mark.long
def test_a_policy_that_is_replaced_is_seen_within_a_second(stack: Compose) -> None:
    policy = stack.directory / "etc/policy.json"
    before = policy.read_text()

    def put(text: str) -> None:
        policy.with_suffix(".new").write_text(text)
        policy.with_suffix(".new").replace(policy)

    put(json.dumps(json.loads(before) | {"kill": {"all": True}}))
    time.sleep(1)
    answer = httpx2.post(f"{stack.api}/v1/responses", json={"input": "write /data/a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "agent_disabled")
    put(before)
    time.sleep(1)
    assert stack.ask("write /data/a") == "written"


@contextlib.contextmanager
def streaming(stack: Compose) -> Iterator[None]:
    """A turn of four seconds is in flight; what is done meanwhile leaves it its end."""
    lines: list[str] = []
    begun = threading.Event()

    def read() -> None:
        body = {"input": "count 8", "stream": True}
        with (
            contextlib.suppress(httpx2.TransportError),
            httpx2.stream("POST", f"{stack.api}/v1/responses", json=body, timeout=60) as answer,
        ):
            for line in answer.iter_lines():
                lines.append(line)
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(30)
    yield
    reader.join(60)
    assert any(line.startswith("event: response.completed") for line in lines), lines[-5:]


@pytest.mark.long
def test_another_config_is_another_agent_and_a_turn_in_flight_is_finished(
    stack: Compose, project: Path
) -> None:
    """Rendered again and brought up again, as people deploy."""
    spec, agent = project / "agent.toml", stack.container("agent")
    with streaming(stack):
        spec.write_text(TOML.replace('"20s"', '"25s"'))
        shipway("render", "compose", "-o", str(stack.directory), cwd=project)
        spec.write_text(TOML)
        stack("up", "-d")
    stack.wait_until_ready()
    assert stack.container("agent") != agent
    assert stack.inspect("agent")["Config"]["StopTimeout"] == 40


@pytest.mark.long
def test_a_pod_that_is_replaced_waits_for_the_turn_in_flight(stack: Compose) -> None:
    """As with each release, whose image is the pod's too: here another port."""
    pod = stack.container("pod")
    with streaming(stack):
        stack.take(free_port(), free_port())
        stack("up", "-d")
    stack.wait_until_ready()
    assert stack.container("pod") != pod
    assert stack.ask("reach 127.0.0.1 8100") == "reached"


# -- What the agent's container may not ----------------------------------------------------------------------


@pytest.mark.long
def test_its_root_is_read_only_and_its_volume_is_not(stack: Compose) -> None:
    assert stack.ask("write /app/here") == "Read-only file system"
    assert stack.ask("write /data/here") == "written"
    assert stack.ask("write /tmp/here") == "written"
    host = stack.inspect("agent")["HostConfig"]
    assert (host["CapDrop"], host["ReadonlyRootfs"], host["Memory"]) == (["ALL"], True, 200 * 2**20)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]


@pytest.mark.long
def test_more_memory_than_its_limit_is_its_end_alone(stack: Compose) -> None:
    agent, sidecar = stack.pid("agent"), stack.pid("mcp-clock")
    with pytest.raises(httpx2.TransportError):
        stack.ask(f"eat {400 * 2**20}")
    stack.until(lambda: stack.pid("agent") not in (0, agent))
    stack.wait_until_ready()
    assert stack.pid("mcp-clock") == sidecar


# -- Others --------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_first_version_runs_it_too(project: Path, tmp_path: Path) -> None:
    with running(_engine("docker-compose"), project, tmp_path) as stack:
        sidecar = stack.container("mcp-clock")
        stack.take(free_port(), free_port())  # another port is another pod
        stack("up", "-d")
        stack.wait_until_ready()
        assert stack.ask("reach 127.0.0.1 8100") == "reached"
        assert stack.container("mcp-clock") != sidecar


QUESTIONS = {
    "hello": "Hello! What can I look up for you about Larkspur?",
    "What time is it in Tokyo?": "It is 19:42 on Friday, 20 November 2026 in Tokyo.",
    "What changed last in the repository?": (
        "The last change is commit 51fba265 by Mika Lund, of 19 November 2026: "
        '"Retry a payment webhook three times before giving up".'
    ),
}


@pytest.mark.long
def test_the_support_agent_answers_by_its_recordings(second: str, tmp_path: Path) -> None:
    root, name = tmp_path / "support", f"shipway-test-{uuid.uuid4().hex[:8]}"
    shutil.copytree(
        GOLDEN[0].parents[4] / "02-support", root, ignore=shutil.ignore_patterns("golden", ".shipway")
    )
    spec = root / "agent.toml"
    spec.write_text(spec.read_text().replace("registry.example.com/support", name))
    docker = _engine("docker")
    for command in (("build", "--load"), ("replay", "image", "--load"), ("render", "compose")):
        shipway(*command, cwd=root)
    stack = Compose(second, docker, root / "deploy/compose/development")
    stack.take(free_port(), free_port())
    stack.hurry("agent")
    try:
        stack("up", "-d")
        seed = (root / "seed.py").read_text()
        stack("exec", "-T", "mcp-git", container.PYTHON, "-", "/data/repo", stdin=seed)
        stack.until(lambda: stack.readiness()["status"] == "ready")
        assert {question: stack.ask(question) for question in QUESTIONS} == QUESTIONS
        reach = "import socket\ntry: socket.create_connection(('api.anthropic.com', 443), 5)\n"
        reach += "except ConnectionRefusedError: print('refused')"
        assert stack("exec", "-T", "mcp-git", container.PYTHON, "-", stdin=reach) == "refused"
    finally:
        stack.down()
        subprocess.run((docker, "rmi", "--force", name, f"{name}-mcp-git"), capture_output=True)
