from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.processes import alive

HELLO = "async def agent(messages, ctx): return 'ok'"

ENVIRONMENT = """
import os
AT_IMPORT = {k: v for k, v in os.environ.items() if k.startswith(("SHIPWAY_", "KEY_", "ANTHROPIC"))}

async def agent(messages, ctx):
    import json
    return json.dumps({"environ": AT_IMPORT, "config": ctx.config, "model": ctx.model.name,
                       "secret": ctx.secret("KEY_FILE"), "prompt": ctx.prompt("greet")})
"""


def answer(response):
    return json.loads(response.json()["output"][0]["content"][0]["text"])


def fails(start, source, **given):
    running = start(source, ready=False, **given)
    code = running.exit_code()
    assert code == 1
    return running.log()


def test_an_import_that_fails_shows_the_users_traceback_alone(start):
    log = fails(start, "import json\n\ndef boom():\n    json.loads('{')\n\nboom()\n")
    assert "the entry point agent:agent could not be imported" in log
    assert 'agent.py", line 6, in <module>' in log
    assert "JSONDecodeError" in log
    assert "shipway_runtime" not in log
    assert "importlib" not in log


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"env": {"SHIPWAY_ENV": "prod"}}, "api.auth is not set"),
        ({"storage": 7}, "storage: not a key of this format"),
        ({"env": {"SHIPWAY_STORAGE": "/proc/nowhere"}}, "conversations cannot be kept in /proc/nowhere"),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_one_line(start, given, message):
    log = fails(start, HELLO, **given)
    assert message in log
    assert "Traceback" not in log


def test_outside_development_the_message_is_json(start):
    log = fails(
        start, "raise ValueError('no')", env={"SHIPWAY_ENV": "prod"}, settings={"api": {"auth": "none"}}
    )
    line = json.loads(log.splitlines()[-1])
    assert line["level"] == "critical"
    assert line["message"] == "the entry point agent:agent could not be imported"
    assert line["exception"].endswith("ValueError: no")


def test_a_port_in_use_is_named_with_its_owner(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        log = fails(start, HELLO, env={"SHIPWAY_ADMIN_PORT": str(port)})
    assert f"port {port} (the admin port) is in use by " in log
    assert "pid " in log
    assert "SHIPWAY_ADMIN_PORT" in log


def test_the_agent_finds_its_environment(start, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "KEY_FILE").write_text("from-file\n")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "greet.md").write_text("Greet!")
    with socket.create_server(("127.0.0.1", 0)) as model:
        base = f"http://127.0.0.1:{model.getsockname()[1]}"
        config = {
            "environment": "development",
            "settings": {
                "model": {"provider": "anthropic", "name": "m", "max_tokens": 5, "timeout_s": 2.5},
                "secrets": {"KEY_FILE": {"source": "file"}, "KEY_ENV": {"source": "env"}},
                "config": {"greeting": "short"},
            },
            "provenance": {"model.name": "env.prod"},
        }
        env = {
            "SHIPWAY_CONFIG_JSON": json.dumps(config),
            "SHIPWAY_SECRETS": str(tmp_path / "secrets"),
            "ANTHROPIC_BASE_URL": base,
            "KEY_ENV": "from-env",
        }
        running = start(ENVIRONMENT, env=env)
        got = answer(running.ask())
        ready = running.admin.get("/readyz").json()
    assert got["environ"]["SHIPWAY_MODEL"] == "m"
    assert got["environ"]["SHIPWAY_MAX_TOKENS"] == "5"
    assert got["environ"]["SHIPWAY_MODEL_TIMEOUT"] == "2.5"
    assert got["environ"]["ANTHROPIC_BASE_URL"] == base
    assert got["environ"]["KEY_FILE"] == got["secret"] == "from-file"
    assert got["config"] == {"greeting": "short"}
    assert (got["model"], got["prompt"]) == ("m", "Greet!")
    assert ready["checks"]["model"]["state"] == ready["checks"]["secrets"]["state"] == "up"
    shown = running.admin.get("/config")
    assert shown.json()["provenance"]["model.name"] == "env.prod"
    assert shown.json()["provenance"]["model.url"] == "ANTHROPIC_BASE_URL"
    assert "from-file" not in shown.text
    assert "from-env" not in shown.text


def test_a_gateway_may_be_a_secret(start, tmp_path):
    (tmp_path / "secrets").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        base = f"http://127.0.0.1:{gateway.getsockname()[1]}"
        (tmp_path / "secrets" / "ANTHROPIC_BASE_URL").write_text(base)
        settings = {
            "model": {"provider": "anthropic", "name": "m"},
            "secrets": {"ANTHROPIC_BASE_URL": {"source": "file"}},
        }
        running = start(HELLO, env={"SHIPWAY_SECRETS": str(tmp_path / "secrets")}, settings=settings)
        assert running.admin.get("/readyz").json()["checks"]["model"]["state"] == "up"
    assert running.admin.get("/config").json()["provenance"]["model.url"] == "ANTHROPIC_BASE_URL"
    running.wait_for(
        lambda: running.admin.get("/readyz").json()["checks"]["model"]["state"] == "down", "the gateway away"
    )
    assert base.rpartition(":")[2] in running.admin.get("/readyz").json()["checks"]["model"]["last_error"]


def test_readiness_looks_at_the_provider_that_is_an_address(start):
    """Whatever another SDK, which asks for something else, is led to."""
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        settings = {"model": {"provider": f"http://127.0.0.1:{gateway.getsockname()[1]}", "name": "m"}}
        running = start(HELLO, env={"OPENAI_BASE_URL": "http://127.0.0.1:9"}, settings=settings)
        assert running.admin.get("/readyz").json()["checks"]["model"]["state"] == "up"


def test_a_missing_secret_is_named_and_keeps_traffic_away(start):
    running = start(HELLO, ready=False, settings={"secrets": {"GITHUB_TOKEN": {"source": "env"}}})

    def secrets() -> dict:
        return running.admin.get("/readyz").json()["checks"].get("secrets", {})

    running.wait_for(
        lambda: running.get_admin("/readyz") == 503 and secrets().get("state") == "down", "failure"
    )
    assert secrets()["last_error"] == "GITHUB_TOKEN: not in the environment"
    assert running.get_admin("/healthz") == 200


@pytest.mark.parametrize(
    ("choice", "status", "word"), [("unready", 503, "unready"), ("degraded", 200, "degraded")]
)
def test_a_model_that_is_down(start, choice, status, word):
    settings = {
        "model": {"provider": "http://127.0.0.1:9", "name": "m"},
        "health": {"when_model_down": choice},
    }
    running = start(HELLO, ready=False, settings=settings)

    def state() -> dict:
        response = running.admin.get("/readyz")
        body = response.json()
        return {"status": (response.status_code, body["status"]), "model": body["checks"].get("model", {})}

    running.wait_for(
        lambda: running.get_admin("/readyz") and state()["model"].get("state") == "down", "a failing check"
    )
    running.wait_for(lambda: state()["status"] == (status, word), word)
    assert "127.0.0.1:9" in state()["model"]["last_error"]


FAILING_MODEL = """
import os, anthropic
client = anthropic.AsyncAnthropic(max_retries=0)

async def agent(messages):
    if messages[-1]["content"] == "no model":
        return "fine"
    message = await client.messages.create(model="m", max_tokens=1, messages=messages)
    return message.content[0].text
"""

MODEL = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(int(sys.argv[1]))
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def model():
    """Start a model API that takes connections and answers everything with one status; gives its URL."""
    started = []

    def start(status: int) -> str:
        command = [sys.executable, "-c", MODEL, str(status)]
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
        return f"http://127.0.0.1:{started[-1].stdout.readline().strip()}"

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("choice", "status", "code"),
    [("unready", 529, "model_unavailable"), ("degraded", 401, "model_unauthorized")],
)
def test_turns_tell_that_a_model_which_takes_connections_is_down(start, model, choice, status, code):
    settings = {
        "model": {"provider": "anthropic", "name": "m"},
        "health": {"when_model_down": choice},
    }
    env = {"ANTHROPIC_BASE_URL": model(status), "ANTHROPIC_API_KEY": "key"}
    running = start(FAILING_MODEL, env=env, settings=settings)
    down = (503, "unready") if choice == "unready" else (200, "degraded")

    def ready():
        answer = running.admin.get("/readyz")
        return answer.status_code, answer.json()["status"], answer.json()["checks"]["model"]

    def fails():
        response = running.ask()
        assert response.status_code == (503 if status == 529 else 500)
        assert response.json()["error"]["code"] == code
        return ready()[:2] == down

    running.wait_for(fails, "failing check")
    assert f"(HTTP {status}, " in ready()[2]["last_error"] or f"HTTP {status} (" in ready()[2]["last_error"]
    assert running.ask("no model").status_code == 200
    running.wait_for(lambda: ready()[:2] == (200, "ready"), "recovery by a turn that succeeds")


def test_requests_that_the_model_finds_wrong_say_nothing_about_it(start, model):
    settings = {"model": {"provider": "anthropic", "name": "m"}}
    env = {"ANTHROPIC_BASE_URL": model(400), "ANTHROPIC_API_KEY": "key"}
    running = start(FAILING_MODEL, env=env, settings=settings)
    assert {running.ask().json()["error"]["code"] for _ in range(6)} == {"server_error"}
    since = running.admin.get("/readyz").json()["checks"]["model"]["since"]
    time.sleep(0.5)  # five probes
    assert running.admin.get("/readyz").json()["checks"]["model"] == {
        "state": "up",
        "since": since,
        "last_error": None,
    }


def test_a_blocked_agent_blocks_no_admin_port(start):
    running = start("import time\nasync def agent(messages): time.sleep(600)")
    body = b'{"input": "hi"}'
    client = socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20)
    client.sendall(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    def blocked() -> bool:
        response = running.admin.get("/healthz")
        assert response.status_code == 200
        return bool(response.json()["status"] == "blocked")

    running.wait_for(blocked, "stall")
    assert "agent.py:2 in agent" in running.admin.get("/healthz").json()["at"]
    assert running.admin.get("/readyz").status_code == 200
    running.wait_for(lambda: "main loop has been blocked" in running.log(), "log line")
    client.close()


def test_health_answers_while_the_agent_is_imported(start, tmp_path):
    gate = tmp_path / "gate"
    source = (
        f"import time, pathlib\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n{HELLO}"
    )
    running = start(source, ready=False)
    running.wait_for(lambda: running.get_admin("/healthz") == 200, "health")
    assert running.admin.get("/healthz").json()["status"] == "starting"
    assert running.get_admin("/readyz") == 503
    gate.touch()
    running.wait_ready()
    assert running.ask().status_code == 200


def test_sigterm_during_the_import_exits_0_at_once(start):
    running = start("import time\ntime.sleep(600)", ready=False)
    running.wait_for(lambda: running.get_admin("/healthz") == 200, "health")
    running.terminate()
    assert running.exit_code() == 0


@pytest.mark.parametrize("prefix", ["", "async "])
def test_factories_are_called_once(start, prefix):
    source = f"""
made = 0
{prefix}def make():
    global made
    made += 1
    async def agent(messages):
        return str(made)
    return agent
"""
    running = start(source, entrypoint="agent:make()")
    assert [answer(running.ask()) for _ in range(2)] == [1, 1]


def test_a_factory_may_be_a_context_manager_that_outlives_the_turns(start):
    source = (
        "import contextlib, pathlib\n"
        "left = pathlib.Path(__file__).with_name('left')\n"
        "@contextlib.asynccontextmanager\n"
        "async def make():\n"
        "    yield lambda messages: f'left: {left.exists()}'\n"
        "    left.touch()\n"
    )
    running = start(source, entrypoint="agent:make()")
    assert running.ask().json()["output"][0]["content"][0]["text"] == "left: False"
    running.terminate()
    assert running.exit_code() == 0
    assert (running.place / "left").exists()


def test_a_factory_that_fails_shows_the_users_traceback_alone(start):
    log = fails(start, "def make():\n    raise ValueError('no')", entrypoint="agent:make()")
    assert "the entry point agent:make() could not be made" in log
    assert 'agent.py", line 2, in make' in log
    assert "shipway_runtime" not in log


APP = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

state = []

@asynccontextmanager
async def lifespan(app):
    state.append("started")
    yield
    print('{"closed": true}', flush=True)

app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(state[0]))], lifespan=lifespan)
"""


def test_an_asgi_application_owns_the_port(start):
    running = start(APP, entrypoint="agent:app", env={"SHIPWAY_REVISION": "r-2"})
    response = running.api.get("/")
    assert response.text == "started"
    assert response.headers["x-shipway-revision"] == "r-2"
    assert running.api.get("/v1/responses").status_code == 404
    assert running.get_admin("/readyz") == 200
    running.terminate()
    assert running.exit_code() == 0
    assert running.outcomes() == [{"closed": True}], "the lifespan ends in order"


def test_an_application_that_cannot_start(start):
    source = APP.replace('state.append("started")', 'raise ValueError("no database")')
    log = fails(start, source, entrypoint="agent:app")
    assert "ValueError: no database" in log
    assert "the application's own startup failed" in log


def test_conversations_survive_a_restart(start, tmp_path):
    env = {"SHIPWAY_STORAGE": str(tmp_path / "data")}
    count = "async def agent(messages): return str(len(messages))"
    first = start(count, env=env)
    conversation = first.ask().json()["conversation"]["id"]
    first.terminate()
    assert first.exit_code() == 0
    second = start(count, env=env)
    assert answer(second.ask(conversation=conversation)) == 3


TOY_SERVER = Path(__file__).parent / "relay" / "toy_server.py"

URL = """
import os

async def agent(messages, ctx):
    return f'"{ctx.mcp["toy"]} {os.environ["SHIPWAY_MCP_TOY_URL"]}"'
"""


def test_an_mcp_server_inside(start):
    server = {"name": "toy", "shape": "inside", "command": [sys.executable, str(TOY_SERVER)]}
    running = start(URL, mcp=[server])
    check = running.admin.get("/readyz").json()["checks"]["mcp:toy"]
    assert (check["state"], check["shape"]) == ("up", "inside")
    url = f"http://127.0.0.1:{running.ports['RELAY']}/mcp/toy"
    assert answer(running.ask()) == f"{url} {url}"
    running.terminate()
    assert running.exit_code() == 0
    end = time.monotonic() + 10
    while alive(check["pid"]):
        assert time.monotonic() < end, "the server outlives the runtime"
        time.sleep(0.02)


def test_headers_without_an_end_are_refused_on_the_relays_port_too(start):
    toy = Path(__file__).parent / "relay/toy_server.py"
    server = {"name": "toy", "shape": "inside", "command": [sys.executable, str(toy)]}
    running = start("async def agent(messages): return 'ok'", mcp=[server])
    with socket.create_connection(("127.0.0.1", running.ports["RELAY"]), timeout=20) as client:
        with contextlib.suppress(OSError):  # it may be closed while we send
            client.sendall(b"GET /mcp/toy HTTP/1.1\r\nx: " + b"y" * 200_000)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
