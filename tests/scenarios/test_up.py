"""`shipway up` and its companions, as a user runs them: processes or containers, and nothing left behind."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.processes import alive
from tests.scenarios.stacks import BOTH_ENGINES, PATIENCE_S, SHIPWAY, Engine, Project, until
from tests.token_server import TokenServer

pytestmark = pytest.mark.network  # the agent's environment is installed by uv, from its cache or an index

HELLO = Path(__file__).parents[2] / "examples/01-hello"


@pytest.fixture
def stack_engine(request: pytest.FixtureRequest) -> Engine:
    """What runs the stack; a test that says nothing is content with processes."""
    return getattr(request, "param", "processes")


@pytest.fixture
def project(
    tmp_path: Path, free_port: Callable[[], int], stack_engine: Engine, engine: Callable[[str], str]
) -> Iterator[Project]:
    docker = engine("docker") if stack_engine == "docker" else ""
    made = Project(tmp_path, free_port(), stack_engine, docker)
    yield made
    made.close()
    assert until(lambda: made.left() == []), made.left()


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    server = TokenServer()
    yield server
    server.close()


AGENT_TOML = 'name = "small"\nentrypoint = "agent:agent"\n'
ECHO = "async def agent(messages, ctx):\n    return messages[-1]['content'].upper()\n"
WITH_A_CHILD = (
    "import subprocess, sys\n"
    "sleep = [sys.executable, '-c', 'import time; time.sleep(1000)']\n"
    "child = subprocess.Popen(sleep, start_new_session=True)\n"
    "async def agent(messages, ctx):\n    return str(child.pid)\n"
)


# -- The road ------------------------------------------------------------------------------------------------


@BOTH_ENGINES
def test_up_ask_status_logs_down(project: Project) -> None:
    for name in ("agent.toml", "hello.py"):
        shutil.copy(HELLO / name, project.root)
    up = project.up()
    assert f"http://127.0.0.1:{project.port}" in up.stderr
    assert 'shipway ask "' in up.stderr

    first = project.run("ask", "good morning")
    assert first.returncode == 0, first.stderr
    assert first.stdout == "Hello! You said: good morning (turn 1, 1 messages so far)\n"
    conversation = re.search(r"--conversation (\S+)", first.stderr)
    assert conversation
    second = project.run("ask", "again", "--conversation", conversation[1])
    assert "(turn 2, 3 messages so far)" in second.stdout
    fresh = project.run("ask", "again")
    assert "(turn 1, 1 messages so far)" in fresh.stdout
    document = json.loads(project.run("ask", "as data", "--json").stdout)
    assert document["status"] == "completed"

    status = project.run("status")
    assert status.returncode == 0
    assert re.search(r"agent +running +\d+ +0 ", status.stdout)
    assert re.search(r"agent +up ", status.stdout)
    assert json.loads(project.run("status", "--json").stdout)["readiness"]["status"] == "ready"

    logs = project.run("logs", "agent")
    assert "agent   | " in logs.stdout
    assert "shipway |" not in logs.stdout
    assert "ready in" in project.run("logs").stdout
    assert "no process is called nobody" in project.run("logs", "nobody").stderr

    down = project.run("down")
    assert (down.returncode, down.stderr.splitlines()[-1]) == (0, "stopped")
    assert not (project.root / ".shipway/stack.json").exists()
    assert project.left() == []
    assert "ready in" in project.run("logs").stdout  # the last run can still be read


def test_logs_follow_what_comes(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO.replace("return", "print('heard it'); return"))
    project.up()
    command = [str(SHIPWAY), "logs", "-f", "agent"]
    with subprocess.Popen(
        command, cwd=project.root, env=project.env, stdout=-1, stderr=-1, text=True
    ) as logs:
        try:
            assert logs.stdout
            lines = iter(logs.stdout.readline, "")
            assert any("API on port" in line for line in lines)
            project.run("ask", "hello")
            assert any("heard it" in line for line in lines)
        finally:
            logs.send_signal(signal.SIGINT)
        logs.communicate(timeout=PATIENCE_S)
        assert logs.returncode == 130


@BOTH_ENGINES
def test_an_interrupted_start_leaves_nothing(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=f"import time\ntime.sleep(1000)\n{ECHO}")
    command = [str(SHIPWAY), "up", "-d", *project.options]
    with subprocess.Popen(command, cwd=project.root, env=project.env, stdout=-1, stderr=-1) as up:
        assert until((project.root / ".shipway/stack.json").exists)
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=PATIENCE_S)
        assert up.returncode == 130
    assert until(lambda: project.left() == []), project.left()


def test_nothing_runs(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    for arguments in (("ask", "hello"), ("status",)):
        done = project.run(*arguments)
        assert done.returncode == 1
        assert "no stack runs in" in done.stderr
        assert "shipway up" in done.stderr
    assert project.run("down").returncode == 0
    refused = project.run("ask", "hello", "--url", f"http://127.0.0.1:{project.port}")
    assert refused.returncode == 1
    assert f"nothing answers at http://127.0.0.1:{project.port}" in refused.stderr


@BOTH_ENGINES
def test_secrets_from_dotenv_and_what_lacks_one(project: Project) -> None:
    project.write(
        agent_toml=AGENT_TOML + '[secrets]\nTOKEN = "file"\nKEY = "env"\n',
        agent_py="import os\nasync def agent(messages, ctx):\n"
        "    return f\"{ctx.secret('TOKEN')} {os.environ['KEY']} {'STRAY' in os.environ}\"\n",
    )
    wait = "1" if project.engine == "processes" else "10"  # containers take a moment to be made
    lacking = project.run("up", "-d", *project.options, "--wait-timeout", wait)
    assert lacking.returncode == 1
    assert "secret TOKEN has no value" in lacking.stderr
    assert f"not ready after {wait} s" in lacking.stderr
    assert re.search("secrets is (starting|down): .*TOKEN", lacking.stderr)
    status = project.run("status")
    assert status.returncode == 1
    assert "unready" in status.stdout
    project.run("down")
    (project.root / ".env").write_text("TOKEN=t1\nexport KEY='k 1'\nSTRAY=x\n")
    up = project.up()
    assert ".env: STRAY is not in [secrets]" in up.stderr
    assert project.run("ask", "?").stdout == "t1 k 1 False\n"
    file = project.root / ".shipway/secrets/TOKEN"
    assert file.stat().st_mode & 0o777 == 0o600


def test_keys_name_tenants_with_a_config_of_their_own(project: Project) -> None:
    project.write(
        agent_toml=AGENT_TOML
        + '[api]\nauth = "keys"\nkeys = "API_KEYS"\n[secrets]\nAPI_KEYS = "file"\n[config]\ntone = "short"\n'
        '[tenants.acme.config]\ntone = "long"\n',
        agent_py="async def agent(messages, ctx):\n    return f\"{ctx.tenant} {ctx.config['tone']}\"\n",
    )
    made = {}
    for tenant in ("acme", "globex"):
        command = [sys.executable, "-m", "shipway_runtime.keys", tenant]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        made[tenant] = done.stderr.split()[0], done.stdout.strip()
    (project.root / ".env").write_text('API_KEYS="{}\\n{}"\n'.format(*(line for _, line in made.values())))
    project.up()
    stranger = project.run("ask", "?")
    assert stranger.returncode == 1
    assert "this agent has to know who calls; send an API key" in stranger.stderr
    assert "set SHIPWAY_API_KEY" in stranger.stderr
    for tenant, tone in (("acme", "long"), ("globex", "short")):
        project.env["SHIPWAY_API_KEY"] = made[tenant][0]
        assert project.run("ask", "?").stdout == f"{tenant} {tone}\n"


def test_a_token_comes_from_its_broker(project: Project, token_server: TokenServer) -> None:
    source = f'{{ token_url = "{token_server.url}", client_id = "small", client_secret = "CRM_SECRET" }}'
    project.write(
        agent_toml=f'{AGENT_TOML}[secrets]\nCRM_SECRET = "file"\nCRM = {source}\n',
        agent_py="async def agent(messages, ctx):\n    return ctx.secret('CRM')\n",
    )
    (project.root / ".env").write_text("CRM_SECRET=shown-to-the-broker\n")
    up = project.up()
    assert "CRM has no value" not in up.stderr
    assert project.run("ask", "?").stdout == "token-1\n"
    ((form, headers),) = token_server.requests
    assert form == {"grant_type": "client_credentials"}
    assert base64.b64decode(headers["authorization"].split()[1]) == b"small:shown-to-the-broker"
    assert "token-1" not in project.run("logs").stdout


# -- The end, however it comes -------------------------------------------------------------------------------


@BOTH_ENGINES
def test_ctrl_c_leaves_no_process(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=WITH_A_CHILD)
    up = project.foreground()
    assert len(project.left()) >= 3  # shipway, agent and what it started
    up.send_signal(signal.SIGINT)
    rest, _ = up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 130, rest
    assert "Traceback" not in rest
    assert project.left() == []
    assert not (project.root / ".shipway/stack.json").exists()


@BOTH_ENGINES
def test_a_second_ctrl_c_does_not_wait(project: Project) -> None:
    project.write(
        agent_toml=AGENT_TOML,
        agent_py="import asyncio\nasync def agent(messages, ctx):\n"
        "    yield 'first'\n    await asyncio.sleep(1000)\n",
    )
    up = project.foreground()
    with subprocess.Popen(
        [str(SHIPWAY), "ask", "x"], cwd=project.root, env=project.env, stdout=-1, stderr=-1
    ) as ask:
        assert ask.stdout
        assert ask.stdout.read(5) == b"first"  # a turn is in flight: the agent would drain for a minute
        up.send_signal(signal.SIGINT)
        assert up.stdout
        assert until(lambda: "stopping" in up.stdout.readline())  # type: ignore[union-attr]
        up.send_signal(signal.SIGINT)
        rest, _ = up.communicate(timeout=30)
        assert up.returncode == 130, rest
        ask.communicate(timeout=PATIENCE_S)
        assert ask.returncode == 1
    assert project.left() == []


@BOTH_ENGINES
def test_kill_9_leaves_no_process_and_is_recognised(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=WITH_A_CHILD)
    up = project.foreground()
    child = int(project.run("ask", "?").stdout)
    up.kill()
    up.communicate(timeout=PATIENCE_S)
    assert (project.root / ".shipway/stack.json").exists()
    assert until(lambda: project.left() == []), project.left()
    if project.engine == "processes":
        assert not alive(child)
    assert "no stack runs in" in project.run("status").stderr
    project.up()
    assert project.run("ask", "?").returncode == 0


@BOTH_ENGINES
def test_down_ends_a_stack_in_the_foreground(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    up = project.foreground()
    assert project.run("down").stderr.splitlines()[-1] == "stopped"
    up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 0


# -- What goes wrong -----------------------------------------------------------------------------------------


def test_a_second_up_is_refused(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    project.up()
    second = project.run("up", "-d")
    assert second.returncode == 1
    assert f"runs here already: pid {project.state()['pid']}, since" in second.stderr
    assert "shipway down" in second.stderr
    assert project.run("ask", "still here").stdout == "STILL HERE\n"


def test_a_port_in_use_is_named(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    with socket.create_server(("127.0.0.1", project.port)):
        done = project.run("up", "-d", *project.options)
    assert done.returncode == 1
    assert f"port {project.port} is in use by pid {os.getpid()} (" in done.stderr
    assert "shipway up --port" in done.stderr


@BOTH_ENGINES
@pytest.mark.parametrize("detach", [(), ("-d",)])
def test_an_import_that_fails_ends_up(project: Project, detach: tuple[str, ...]) -> None:
    project.write(
        agent_toml=AGENT_TOML, agent_py="import not_installed_anywhere\nasync def agent(m, c): ...\n"
    )
    done = project.run("up", *project.options, *detach)
    everything = done.stdout + done.stderr
    assert done.returncode == 1
    assert everything.count("No module named 'not_installed_anywhere'") == 1
    assert "error: agent ended with code 1 before it was imported" in done.stderr
    assert "starting it again" not in everything
    assert len(everything.splitlines()) < 40
    assert project.left() == []


@BOTH_ENGINES
def test_an_agent_that_crashes_later_is_started_again(project: Project) -> None:
    project.write(
        agent_toml=AGENT_TOML,
        agent_py="import os\nasync def agent(messages, ctx):\n"
        "    if messages[-1]['content'] == 'die':\n        os._exit(3)\n    return 'alive'\n",
    )
    project.up()
    dying = project.run("ask", "die")
    assert dying.returncode == 1
    assert until(lambda: project.run("ask", "?").stdout == "alive\n")
    assert "agent ended with code 3; starting it again in" in project.run("logs").stdout
    agent = json.loads(project.run("status", "--json").stdout)["stack"]["processes"][-1]
    assert agent["restarts"] == 1


@BOTH_ENGINES
def test_a_sidecar_that_is_killed_is_started_again(project: Project) -> None:
    server = '[mcp.side]\nshape = "sidecar"\nrun = "project:side"\noptional = true\n'
    project.write(agent_toml=AGENT_TOML + server, agent_py=ECHO, side_py="import sys\nsys.stdin.read()\n")
    project.up()
    before = project.process("mcp-side")
    assert before["state"] == "running"
    project.kill("mcp-side")

    def again() -> bool:
        now = project.process("mcp-side")
        return (now["restarts"], now["state"]) == (1, "running")

    assert until(again)
    assert project.process("mcp-side")["pid"] != before["pid"]
    assert project.run("ask", "not disturbed").stdout == "NOT DISTURBED\n"


def test_without_replays_every_request_is_a_loud_miss(project: Project) -> None:
    project.write(
        agent_toml=AGENT_TOML + '[model]\nprovider = "openai"\nname = "gpt"\n',
        agent_py="import os, urllib.error, urllib.request\n"
        "async def agent(messages, ctx):\n"
        "    url = os.environ['OPENAI_BASE_URL'] + '/responses'\n"
        "    try:\n        urllib.request.urlopen(urllib.request.Request(url, b'{}'))\n"
        "    except urllib.error.HTTPError as error:\n        return error.read().decode()\n",
    )
    up = project.up()
    assert "making replays/, which is empty" in up.stderr
    assert "replays" in project.run("ask", "?").stdout


@BOTH_ENGINES
def test_bad_replays_end_up_with_their_reason(project: Project) -> None:
    project.write(agent_toml=AGENT_TOML, agent_py=ECHO)
    (project.root / "replays").mkdir()
    (project.root / "replays/broken.json").write_text("{")
    done = project.run("up", "-d", *project.options)
    assert done.returncode == 1
    assert "broken.json" in done.stderr
    assert "replay ended with code 2 before it had started" in done.stderr


# -- Services ------------------------------------------------------------------------------------------------


def test_redis_runs_beside_the_agent(project: Project, engine: Callable[[str], str]) -> None:
    engine("redis-server")
    project.write(
        agent_toml=AGENT_TOML + '[services.cache]\nimage = "redis:7"\nenv_url = "CACHE_URL"\n',
        agent_py="import os, socket\nfrom urllib.parse import urlsplit\n"
        "async def agent(messages, ctx):\n"
        "    url = urlsplit(os.environ['CACHE_URL'])\n"
        "    with socket.create_connection((url.hostname, url.port)) as redis:\n"
        "        redis.sendall(b'INCR asked\\r\\n')\n        return redis.recv(100).decode().strip()\n",
    )
    up = project.up()
    assert "stands in for redis:7" in up.stderr
    assert project.run("ask", "?").stdout == ":1\n"
    project.run("down")
    project.up()
    assert project.run("ask", "?").stdout == ":2\n"  # what was stored is still there


def test_postgresql_runs_beside_the_agent(project: Project, engine: Callable[[str], str]) -> None:
    engine("initdb")
    project.write(
        agent_toml=AGENT_TOML + '[services.db]\nimage = "postgres:17"\nenv_url = "DATABASE_URL"\n',
        agent_py="import os, socket\nfrom urllib.parse import urlsplit\n"
        "async def agent(messages, ctx):\n"
        "    url = urlsplit(os.environ['DATABASE_URL'])\n"
        "    hello = b'\\0\\3\\0\\0user\\0postgres\\0database\\0' + url.path[1:].encode() + b'\\0\\0'\n"
        "    with socket.create_connection((url.hostname, url.port)) as db:\n"
        "        db.sendall((len(hello) + 4).to_bytes(4, 'big') + hello)\n"
        "        return db.recv(9).hex()\n",
    )
    up = project.up()
    assert "stands in for postgres:17" in up.stderr
    data = re.search(r"data directory, (\S+)", up.stderr)
    assert data
    try:
        assert project.run("ask", "?").stdout == "520000000800000000\n"  # AuthenticationOk
        assert project.run("down").returncode == 0
        assert not (Path(data[1]) / "postmaster.pid").exists()  # it was ended in order
    finally:
        project.run("down")
        if project.root not in Path(data[1]).parents:
            shutil.rmtree(Path(data[1]).parent)


def test_conversations_live_in_the_database_of_the_stack(
    project: Project, engine: Callable[[str], str]
) -> None:
    engine("initdb")
    project.write(
        agent_toml=AGENT_TOML
        + '[secrets]\nDATABASE_URL = "env"\n[storage]\nurl = { secret = "DATABASE_URL" }\n'
        + '[services.db]\nimage = "postgres:17"\nenv_url = "DATABASE_URL"\n',
        agent_py="async def agent(messages, ctx):\n"
        "    return ' '.join(m['content'] for m in messages if m['role'] == 'user')\n",
    )
    up = project.up()
    data = re.search(r"data directory, (\S+)", up.stderr)
    assert data
    try:
        assert project.run("ask", "one", "--conversation", "c").stdout == "one\n"
        project.run("down")
        project.up()
        assert project.run("ask", "two", "--conversation", "c").stdout == "one two\n"
        assert "storage  up" in project.run("status").stdout
        assert not (project.root / ".shipway/data/shipway.db").exists()
    finally:
        project.run("down")
        if project.root not in Path(data[1]).parents:
            shutil.rmtree(Path(data[1]).parent)


def test_status_tells_how_each_mcp_server_is(project: Project) -> None:
    shutil.copy(Path(__file__).parents[1] / "unit/runtime/relay/toy_server.py", project.root / "toy.py")
    toy, crash = 'run = ["python", "toy.py"]', """run = ["python", "-c", "raise SystemExit('no licence')"]"""
    project.write(
        agent_py=ECHO,
        agent_toml=AGENT_TOML
        + f'[mcp.near]\nshape = "inside"\n{toy}\n[mcp.beside]\nshape = "sidecar"\n{toy}\n'
        + f'[mcp.broken]\nshape = "inside"\n{crash}\noptional = true\n'
        + f'[mcp.crashing]\nshape = "sidecar"\n{crash}\noptional = true\n'
        + '[mcp.crm]\nurl = "http://127.0.0.1:9/mcp"\noptional = true\n',
    )
    project.up()

    def servers() -> dict[str, dict[str, Any]]:
        found = json.loads(project.run("status", "--json").stdout)["mcp"]
        return {server["name"]: server for server in found}

    for name in ("near", "beside"):
        os.kill(servers()[name]["pid"], signal.SIGKILL)
    assert until(lambda: all(servers()[name]["restarts"] == 1 for name in ("near", "beside")))
    assert until(lambda: [s["state"] for s in servers().values()] == ["up", "up", "down", "down", "down"])
    table = project.run("status").stdout
    for line in (
        r"near +inside +up +\d+ s +2025-11-25 +1 +\d+ s ago: was ended by SIGKILL",
        r"beside +sidecar +up +\d+ s +2025-11-25 +1 +\d+ s ago: was ended by SIGKILL",
        r"broken +inside +down \(optional\) +\d+ s +- +\d+ +\d+ s ago: exited with code 1; .* no licence",
        r"crashing +sidecar +down \(optional\) +\d+ s +- +\d+ +\d+ s ago: exited with code 1; .* no licence",
        r"crm +service +down \(optional\) +\d+ s +- +- +\d+ s ago: .* cannot be reached",
    ):
        assert re.search(line, table), table
    assert "is up, MCP 2025-11-25" in project.run("logs", "mcp-beside").stdout
    assert project.run("down").returncode == 0
