"""A whole process under a policy that changes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import free_port

TOY = Path(__file__).parents[1] / "relay/toy_server.py"
TOKEN = "a-token-that-nobody-guesses"
HELLO = "async def agent(messages, ctx): return 'ok'"
SLOW = """
import asyncio, pathlib

async def agent(messages, ctx):
    yield "one "
    while not pathlib.Path("%s").exists():
        await asyncio.sleep(0.01)
    yield "two"
"""
MODEL = """
async def agent(messages, ctx):
    ctx.used({"input_tokens": 1_000_000, "output_tokens": 100_000})
    return ctx.model.name
"""
PRICED = {
    "provider": "http://127.0.0.1:1/v1",
    "name": "big",
    "fallbacks": ["small"],
    "prices": {"big": {"input": 3, "output": 15}, "small": {"input": 1, "output": 5}},
}
APP = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("hello")

app = Starlette(routes=[Route("/", hello)])

async def agent(scope, receive, send):
    await app(scope, receive, send)
"""


def variables(place: Path, **more: str) -> dict[str, str]:
    return {"SHIPWAY_ADMIN_TOKEN": TOKEN, "SHIPWAY_STORAGE": str(place / "data")} | more


def put(running, policy: dict, token: str = TOKEN, **more: object):
    headers = {"authorization": f"Bearer {token}"}
    return running.admin.put("/policy", json={"policy": policy, "by": "ann", **more}, headers=headers)


def clear(running):
    return running.admin.delete("/policy", headers={"authorization": f"Bearer {TOKEN}"})


def metrics(running) -> dict[str, float]:
    lines = running.admin.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def test_a_kill_lets_a_stream_finish_and_refuses_the_next_turn(start, tmp_path):
    go = tmp_path / "go"
    running = start(SLOW % go, env=variables(tmp_path))
    body = {"input": "hi", "stream": True}
    with running.api.stream("POST", "/v1/responses", json=body) as stream:
        lines = stream.iter_lines()
        while '"one "' not in next(lines):
            pass
        answer = put(running, {"kill": {"all": True}}, reason="INC-7")
        assert answer.json()["effective"]["kill"]["all"]
        refused = running.ask()
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "30"
        assert refused.json()["error"]["code"] == "agent_disabled"
        go.touch()
        assert any("response.completed" in line for line in lines)
    assert [outcome["status"] for outcome in running.outcomes()] == ["denied", "ok"]
    assert running.outcomes()[0]["turn"] == 0
    assert running.get_admin("/readyz") == 200  # killed is no reason to be restarted
    found = metrics(running)
    assert (
        found['shipway_policy_denied_total{rule="kill.all"}']
        == found['shipway_policy_killed{kind="all"}']
        == 1
    )
    assert clear(running).json()["restriction"] is None
    assert running.ask().status_code == 200
    assert "restriction changed (by ann, peer 127.0.0.1, reason INC-7" in running.log()


def test_a_restriction_outlives_the_process(start, tmp_path):
    running = start(HELLO, env=variables(tmp_path))
    assert put(running, {"kill": {"all": True}}, for_s=600).json()["kept"] is True
    running.terminate()
    assert running.exit_code() == 0
    again = start(HELLO, env=variables(tmp_path))
    assert again.ask().status_code == 503
    shown = again.admin.get("/policy").json()
    assert shown["restriction"]["by"] == "ann"
    assert shown["base"]["source"] == "agent.toml"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"policy": {"kill": {"all": "yes"}}}, 400, "policy.kill.all: expected bool"),
        ({"policy": {}, "for_s": 864000}, 400, "for_s: expected more than 0 s and at most 7 days"),
        ({"policy": {"model": "small"}}, 400, "model: 'small' is not among the declared fallbacks"),
        ({"kill": {"all": True}}, 400, "kill: not a key of this format"),
    ],
)
def test_what_is_no_restriction(start_shared, tmp_path_factory, body, status, message):
    running = _shared(start_shared, tmp_path_factory)
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = running.admin.put("/policy", json=body, headers=headers)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert running.ask().status_code == 200


def test_nobody_restricts_without_the_token(start_shared, tmp_path_factory):
    running = _shared(start_shared, tmp_path_factory)
    assert put(running, {"kill": {"all": True}}, token="wrong").status_code == 401
    assert running.admin.delete("/policy").status_code == 401
    assert running.ask().status_code == 200


_running: list = []


def _shared(start_shared, tmp_path_factory):
    if not _running:
        _running.append(start_shared(HELLO, env=variables(tmp_path_factory.mktemp("shared"))))
    return _running[0]


def test_a_file_is_followed_and_its_errors_are_not(start, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text("{}")
    running = start(HELLO, env=variables(tmp_path, SHIPWAY_POLICY=str(policy)))
    policy.write_text('{"kill": {"all": true}}')
    running.wait_for(lambda: running.ask().status_code == 503, "refusal")
    policy.write_text("{}}")
    running.wait_for(lambda: running.admin.get("/policy").json()["problem"], "problem")
    assert running.ask().status_code == 503
    assert metrics(running)['shipway_policy_failures_total{source="file"}'] == 1
    policy.write_text('{"limits": {"requests": [1, 3600]}}')
    running.wait_for(lambda: running.ask().status_code == 200, "answer")
    refused = running.ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert 3000 < int(refused.headers["retry-after"]) <= 3600
    usage = running.admin.get("/policy").json()["usage"]["tenants"]
    assert usage[0]["tenant"] is None
    assert 0.9 < usage[0]["requests"]["3600"] <= 1


def test_a_policy_that_cannot_be_read_keeps_it_from_starting(start, tmp_path):
    running = start(HELLO, ready=False, env=variables(tmp_path, SHIPWAY_POLICY_JSON='{"kil": 1}'))
    assert running.exit_code() == 1
    assert "SHIPWAY_POLICY_JSON: kil: not a key of this format" in running.log()


def test_which_model_and_what_it_costs(start, tmp_path):
    running = start(
        MODEL, env=variables(tmp_path), settings={"model": PRICED, "health": {"when_model_down": "degraded"}}
    )

    def model() -> str:
        answer = running.ask().json()
        assert answer["model"] == answer["output"][0]["content"][0]["text"]
        return answer["model"]

    assert model() == "big"
    put(running, {"model": "small"})
    assert model() == "small"
    put(running, {"kill": {"models": ["big"]}})
    assert model() == "small"
    put(running, {"kill": {"models": ["big", "small"]}})
    assert running.ask().json()["error"]["code"] == "model_disabled"
    put(running, {"limits": {"spend_usd": [9.5, 86400]}})
    assert model() == "big"
    assert model() == "big"
    assert model() == "big"
    assert running.ask().json()["error"]["code"] == "spend_budget_exhausted"
    assert [o["cost"] for o in running.outcomes()] == [4.5, 1.5, 1.5, None, 4.5, 4.5, 4.5, None]


def mcp(running, method: str, **params: object) -> dict:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    url = f"http://127.0.0.1:{running.ports['RELAY']}/mcp/toy"
    accept = {"accept": "application/json, text/event-stream"}
    return running.api.post(url, json=body, headers=accept).json()


@contextlib.contextmanager
def sidecar() -> Iterator[str]:
    """The toy server behind a relay of its own, as in a sidecar's container."""
    port = free_port()
    words = [sys.executable, "-m", "shipway_runtime.relay", "toy", "--port", str(port)]
    process = subprocess.Popen([*words, "--", sys.executable, str(TOY)], stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("shape", ["inside", "sidecar"])
def test_tools_and_servers_behind_the_relay(start, tmp_path, shape):
    with sidecar() if shape == "sidecar" else contextlib.nullcontext() as url:
        server = {"name": "toy", "shape": shape, "url": url, "command": [sys.executable, str(TOY)]}
        _switch_off_tools(start, tmp_path, server)


def _switch_off_tools(start, tmp_path, server):
    running = start(HELLO, env=variables(tmp_path), mcp=[server])

    def tools() -> set[str]:
        return {tool["name"] for tool in mcp(running, "tools/list")["result"]["tools"]}

    def call() -> dict:
        return mcp(running, "tools/call", name="echo", arguments={"text": "x"})["result"]

    everything = tools()
    assert "echo" in everything
    for kill, left in (
        ({"tools": ["echo"]}, everything - {"echo"}),
        ({"tools": ["toy/echo"]}, everything - {"echo"}),
        ({"servers": ["toy"]}, set()),
    ):
        assert put(running, {"kill": kill}).status_code == 200
        assert tools() == left
        result = call()
        assert result["isError"]
        assert "is switched off for now by the policy; go on without it" in result["content"][0]["text"]
    refused = mcp(running, "resources/read", uri="x://y")
    assert "MCP server 'toy' is switched off" in refused["error"]["message"]
    assert running.ask().status_code == 200
    clear(running)
    assert tools() == everything
    assert not call().get("isError")
    found = metrics(running)
    assert found['shipway_policy_denied_total{rule="kill.tools"}'] == 2
    assert found['shipway_policy_denied_total{rule="kill.servers"}'] == 2
    assert (
        found['shipway_mcp_calls_total{method="tools/call",outcome="denied",server="toy",tool="echo"}'] == 3
    )


ASKS = """
async def agent(messages, ctx):
    return f"{ctx.tenant} {ctx.allows_tool('refund')}"
"""


def test_an_agent_asks_about_its_own_tools(start, tmp_path):
    running = start(ASKS, env=variables(tmp_path))
    put(running, {"kill": {"tools": ["refund"]}})
    assert "None False" in running.ask().text
    assert metrics(running)['shipway_policy_denied_total{rule="kill.tools"}'] == 1


def test_tenants(start, tmp_path):
    running = start(
        ASKS, env=variables(tmp_path), settings={"api": {"auth": "none", "trusted_proxies": ["127.0.0.1"]}}
    )

    def ask(tenant: str):
        return running.api.post("/v1/responses", json={"input": "x"}, headers={"x-shipway-tenant": tenant})

    put(running, {"kill": {"tenants": ["acme"]}, "tenants": {"umbra": {"requests": [1, 3600]}}})
    assert ask("acme").json()["error"]["code"] == "tenant_disabled"
    assert [ask("umbra").status_code for _ in range(2)] == [200, 429]
    assert [ask("other").status_code for _ in range(2)] == [200, 200]
    used = running.admin.get("/policy").json()["usage"]
    assert {tenant["tenant"] for tenant in used["tenants"]} == {"umbra", "other"}
    assert running.outcomes()[0]["tenant"] == "acme"


def test_an_application_of_its_own(start, tmp_path):
    running = start(APP, env=variables(tmp_path))
    assert running.api.get("/").text == "hello"
    put(running, {"kill": {"all": True}})
    refused = running.api.get("/")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "agent_disabled")
    put(running, {"limits": {"requests": [1, 3600]}})
    assert [running.api.get("/").status_code for _ in range(2)] == [200, 429]
    answer = put(running, {"limits": {"tokens": [1, 3600]}})
    assert answer.status_code == 400
    assert "reports no usage" in answer.json()["error"]


def test_an_application_of_its_own_has_no_budgets(start, tmp_path):
    limits = {"limits": {"tokens": [1, 60]}}
    running = start(APP, ready=False, env=variables(tmp_path), settings=limits)
    assert running.exit_code() == 1
    assert "no budget of tokens or spend can hold" in running.log()


def test_nothing_is_let_in_before_control_has_answered(start, tmp_path, control):
    control.policy_status = 503
    running = start(HELLO, ready=False, env=variables(tmp_path, SHIPWAY_CONTROL_URL=control.url))
    running.wait_for(lambda: running.get_admin("/readyz") == 503, "admin port")
    running.wait_for(lambda: "API on port" in running.log(), "start")
    assert running.ask().json()["error"]["code"] == "policy_unknown"
    control.policy_status = 200
    running.wait_ready()
    assert running.ask().status_code == 200
    control.policy = {"kill": {"all": True}}
    running.wait_for(lambda: running.ask().status_code == 503, "refusal")
    assert json.loads((tmp_path / "data/shipway-policy/control.json").read_text())["policy"]["kill"]["all"]


def test_where_nothing_can_be_written_a_restriction_holds_and_is_not_kept(start, tmp_path):
    (tmp_path / "file").touch()
    env = {"SHIPWAY_ADMIN_TOKEN": TOKEN, "TMPDIR": str(tmp_path / "file/below")}
    running = start(HELLO, env=env)
    assert put(running, {"kill": {"all": True}}, for_s=600).json()["kept"] is False
    assert running.ask("hi").status_code == 503
