"""What only containers have: a pod, limits, images of others, what a killed stack leaves in the engine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import database_images
from tests.scenarios.stacks import Project, until

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.long]

AGENT_TOML = 'name = "small"\nentrypoint = "agent:agent"\n'
ECHO = "async def agent(messages, ctx):\n    return messages[-1]['content'].upper()\n"


@pytest.fixture
def project(tmp_path: Path, free_port: Callable[[], int], engine: Callable[[str], str]) -> Iterator[Project]:
    made = Project(tmp_path, free_port(), "docker", engine("docker"))
    yield made
    made.close()
    assert until(lambda: made.left() == []), made.left()


def test_the_container_is_that_of_production(project: Project) -> None:
    project.write(
        agent_toml=AGENT_TOML + '[storage]\npath = "/data"\nsize = "1Gi"\n',
        agent_py="import os, pathlib\n"
        "def written(path):\n"
        "    try:\n        pathlib.Path(path, 'x').write_text('x')\n"
        "    except OSError as error:\n        return type(error).__name__ + str(error.errno)\n"
        "    return 'yes'\n"
        "async def agent(messages, ctx):\n"
        "    caps = pathlib.Path('/proc/self/status').read_text().partition('CapEff:')[2].split()[0]\n"
        "    return ' '.join([written('/app'), written('/tmp'), written('/data'), caps, str(os.getuid())])\n",
    )
    project.up()
    assert project.run("ask", "?").stdout == f"OSError30 yes yes 0000000000000000 {os.getuid()}\n"
    assert (project.root / ".shipway/data/x").stat().st_uid == os.getuid()


def test_an_edit_is_built_when_it_starts_again(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    project.up()
    project.run("down")
    project.write(agent_py=ECHO.replace("upper", "title"))
    up = project.up()
    assert re.search(r"from this process: [1-4] of \d+ blobs, 0\.0 MB; it had the rest", up.stderr), up.stderr
    assert project.run("ask", "new words").stdout == "New Words\n"
    project.run("down")
    assert "from this process" not in project.up().stderr  # nothing has changed


def test_a_pod_that_is_killed_comes_back_with_all_that_is_in_it(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    project.up()
    project.kill("pod")
    assert until(lambda: project.process("agent")["restarts"] >= 1)
    assert until(lambda: project.run("ask", "back").stdout == "BACK\n")


def test_a_memory_limit_is_enforced_and_said(project: Project) -> None:
    project.write(
        agent_toml=AGENT_TOML + '[resources]\nmemory = "128Mi"\n',
        agent_py="async def agent(messages, ctx):\n    return str(len(bytearray(500_000_000)))\n",
    )
    project.up()
    assert project.run("ask", "?").returncode == 1
    assert until(lambda: project.process("agent")["restarts"] == 1)
    said = project.run("logs", "shipway").stdout
    assert "agent was killed, for its memory limit of 128 MiB if nobody did it by hand (code 137)" in said


@pytest.mark.parametrize("command", ["up", "down"])
def test_what_a_killed_stack_has_left_is_removed(project: Project, command: str) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    project.up()
    container = project.container("agent")
    processes = [int(line.split()[0]) for line in project.left() if line.split()[0].isdigit()]
    for pid in processes:  # nobody has the time to tell the containers
        os.kill(pid, signal.SIGSTOP)
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    assert any(container in line for line in project.left())
    if command == "up":
        assert "removed the containers of a stack that was killed" in project.up().stderr
        assert project.run("ask", "again").stdout == "AGAIN\n"
    else:
        assert project.run("down").stderr.splitlines()[-1] == "stopped"


def test_a_restriction_is_set_with_the_token_of_the_stack(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    project.up()
    stopped = project.run("policy", "set", "--kill", "all")
    assert stopped.returncode == 0, stopped.stderr
    assert project.run("ask", "?").returncode == 1
    token = project.root / ".shipway/admin.token"
    assert token.stat().st_mode & 0o777 == 0o600
    project.run("down")
    assert not token.exists()


def test_an_image_that_cannot_be_pulled_is_named(project: Project) -> None:
    service = '[services.db]\nimage = "127.0.0.1:9/nobody/postgres:17"\nenv_url = "DATABASE_URL"\n'
    project.write(agent_toml=AGENT_TOML + service, agent_py=ECHO)
    done = project.run("up", "-d", *project.options)
    assert done.returncode == 1
    assert "127.0.0.1:9/nobody/postgres:17 is not on this machine and cannot be pulled: " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_of_another_machine_is_refused(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    project.env["DOCKER_HOST"] = "ssh://me@far.example.com"
    done = project.run("up", "-d", *project.options)
    assert done.returncode == 1
    assert "Docker's engine is on another machine, ssh://me@far.example.com" in done.stderr
    project.env["DOCKER_HOST"] = "unix:///nobody/listens.sock"
    assert "Docker does not answer: " in project.run("up", "-d", *project.options).stderr
    del project.env["DOCKER_HOST"]


# -- Databases -----------------------------------------------------------------------------------------------


@pytest.fixture
def database(project: Project, engine: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """The name of an image of PostgreSQL or Redis, made of the server of this machine."""
    made: list[str] = []

    def image(kind: str) -> str:
        name = f"shipway.test/{uuid.uuid4().hex[:8]}/{kind}:1"
        make = {"postgres": database_images.import_postgres, "redis": database_images.import_redis}[kind]
        make(project.docker, name, Path(engine({"redis": "redis-server"}.get(kind, kind))))
        made.append(name)
        return name

    yield image
    project.run("down")
    subprocess.run((project.docker, "rmi", "--force", *made), capture_output=True)


def test_conversations_live_in_the_database_of_the_stack(
    project: Project, database: Callable[[str], str]
) -> None:
    project.write(
        agent_toml=AGENT_TOML
        + '[secrets]\nDATABASE_URL = "env"\n[storage]\nurl = { secret = "DATABASE_URL" }\n'
        + f'[services.db]\nimage = "{database("postgres")}"\nenv_url = "DATABASE_URL"\n',
        agent_py="async def agent(messages, ctx):\n"
        "    return ' '.join(m['content'] for m in messages if m['role'] == 'user')\n",
    )
    project.up()
    assert project.run("ask", "one", "--conversation", "c").stdout == "one\n"
    project.run("down")
    project.up()
    assert project.run("ask", "two", "--conversation", "c").stdout == "one two\n"
    assert "storage  up" in project.run("status").stdout
    project.kill("db")
    assert until(lambda: project.process("db")["restarts"] == 1)
    assert until(lambda: project.run("ask", "three", "--conversation", "c").stdout == "one two three\n")


def test_redis_runs_beside_the_agent(project: Project, database: Callable[[str], str]) -> None:
    project.write(
        agent_toml=f'{AGENT_TOML}[services.cache]\nimage = "{database("redis")}"\nenv_url = "CACHE_URL"\n',
        agent_py="import os, socket\nfrom urllib.parse import urlsplit\n"
        "async def agent(messages, ctx):\n"
        "    url = urlsplit(os.environ['CACHE_URL'])\n"
        "    with socket.create_connection((url.hostname, url.port or 6379)) as redis:\n"
        "        redis.sendall(b'INCR asked\\r\\n')\n        return redis.recv(100).decode().strip()\n",
    )
    project.up()
    assert project.run("ask", "?").stdout == ":1\n"
    project.run("down")
    project.up()
    assert project.run("ask", "?").stdout == ":2\n"  # what was stored is still there


# -- MCP servers ---------------------------------------------------------------------------------------------


def test_servers_apart_from_the_agent_and_images_of_others_answer(project: Project) -> None:
    time = 'shape = "service"\nrun = "pypi:mcp-server-time==2026.10.19"\nargs = ["--local-timezone", "UTC"]\n'
    project.write(agent_toml=f"{AGENT_TOML}[mcp.time]\n{time}", agent_py=ECHO)
    project.up()

    def states() -> dict[str, str]:
        servers = json.loads(project.run("status", "--json").stdout)["mcp"]
        return {server["name"]: server["state"] for server in servers}

    assert until(lambda: states() == {"time": "up"})
    project.kill("mcp-time")
    assert until(lambda: project.process("mcp-time")["restarts"] == 1)
    assert until(lambda: states() == {"time": "up"})
    given = f"shipway.test/{uuid.uuid4().hex[:8]}/time:1"
    subprocess.run((project.docker, "tag", f"{project.container('mcp-time')}:up", given), check=True)
    project.run("down")
    project.write(agent_toml=f'{AGENT_TOML}[mcp.given]\nshape = "sidecar"\nrun = "image:{given}"\n')
    try:
        project.up()
        assert until(lambda: states() == {"given": "up"})
    finally:
        project.run("down")
        subprocess.run((project.docker, "rmi", "--force", given), capture_output=True)


# -- The model -----------------------------------------------------------------------------------------------

ASKS_A_MODEL = """
import json, os, urllib.request
async def agent(messages, ctx):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": messages[-1]["content"]}]}
    headers = {"content-type": "application/json", "x-api-key": os.environ["ANTHROPIC_API_KEY"]}
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request))["content"][0]["text"]
"""


@pytest.fixture
def real_api(project: Project, free_port: Callable[[], int], tmp_path: Path) -> Iterator[int]:
    """The port of a model's API on this machine, where containers find it: a replay plays its part."""
    gateway = ("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    host = subprocess.run((project.docker, *gateway), capture_output=True, text=True, check=True)
    (tmp_path / "real").mkdir()
    (tmp_path / "real/said.toml").write_text('[[reply]]\nsay = "The real one speaks."\n')
    port = free_port()
    serve = (sys.executable, "-m", "shipway.replay", str(tmp_path / "real"), "--port", str(port))
    with subprocess.Popen((*serve, "--host", host.stdout.strip()), stderr=subprocess.DEVNULL) as process:
        yield port
        process.terminate()


def test_a_model_is_recorded_and_then_replayed(project: Project, real_api: int) -> None:
    project.write(
        agent_toml=AGENT_TOML
        + '[model]\nprovider = "anthropic"\nname = "m"\n[secrets]\nANTHROPIC_API_KEY = "env"\n',
        agent_py=ASKS_A_MODEL,
    )
    env = f"ANTHROPIC_API_KEY=sk-of-mine\nANTHROPIC_BASE_URL=http://127.0.0.1:{real_api}\n"
    (project.root / ".env").write_text(env)
    project.up("--record")
    assert project.run("ask", "hello").stdout == "The real one speaks.\n"
    project.run("down")
    (recording,) = (project.root / "replays").glob("*.json")
    assert recording.stat().st_uid == os.getuid()
    assert "sk-of-mine" not in recording.read_text()
    (project.root / ".env").unlink()
    project.up()
    assert project.run("ask", "hello").stdout == "The real one speaks.\n"
    assert project.run("replay", "fault", "overloaded").returncode == 0
    assert project.run("ask", "hello").returncode == 1
    assert (project.root / ".shipway/replay/journal.jsonl").stat().st_uid == os.getuid()
