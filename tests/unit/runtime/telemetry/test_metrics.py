"""/metrics of a whole process: of the runtime, of its MCP servers, and of the agent's own code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOY = Path(__file__).parents[1] / "relay/toy_server.py"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HELLO = "async def agent(messages, ctx): return 'ok'"
AGENT = """
import prometheus_client

ORDERS = prometheus_client.Counter("orders_total", "Orders")
ORDERS.inc(3)

class Broken:
    def describe(self): return []
    def collect(self): raise ValueError("no")

if %r:
    prometheus_client.REGISTRY.register(Broken())

async def agent(messages, ctx): return 'ok'
"""


def server(*words: str, **more: object) -> dict:
    return {"name": "toy", "shape": "inside", "command": [sys.executable, str(TOY), *words]} | more


def call(running, tool, arguments=None, **headers):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    body["params"] = {"name": tool, "arguments": arguments or {}}
    url = f"http://127.0.0.1:{running.ports['RELAY']}/mcp/toy"
    accept = {"accept": "application/json, text/event-stream"}
    return running.api.post(url, json=body, headers=accept | headers).json()


def samples(running) -> dict[str, float]:
    """Each series of the page, `name{labels}`, and its value."""
    lines = running.admin.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def test_a_page_of_the_runtime_and_its_servers(start):
    running = start(HELLO, mcp=[server(tools={"allow": ["echo", "id"]})])
    call(running, "echo", {"text": "x"})
    call(running, "env")
    found = samples(running)
    assert found['shipway_mcp_up{server="toy"}'] == found["shipway_ready"] == 1
    key = 'server="toy",tool="echo"'
    assert found[f'shipway_mcp_calls_total{{method="tools/call",outcome="ok",{key}}}'] == 1
    assert found[f'shipway_mcp_call_duration_seconds_bucket{{le="+Inf",method="tools/call",{key}}}'] == 1
    assert 'shipway_mcp_calls_total{method="tools/call",outcome="denied",server="toy",tool="other"}' in found
    assert found['shipway_check_up{check="mcp:toy",required="true"}'] == 1
    assert found["process_resident_memory_bytes"] > 10e6
    (about,) = [name for name in found if name.startswith("shipway_build_info")]
    assert 'name="test"' in about


def test_a_server_that_dies_is_seen(start):
    running = start(HELLO, mcp=[server()])
    os.kill(int(call(running, "id")["result"]["content"][0]["text"]), signal.SIGKILL)
    running.wait_for(
        lambda: samples(running)['shipway_mcp_restarts_total{server="toy"}'] == 1, "counted restart"
    )
    running.wait_for(lambda: samples(running)['shipway_mcp_up{server="toy"}'] == 1, "server")


def test_probes_that_fail_are_counted(start):
    running = start(HELLO, mcp=[server(command=["/no/such/server"], optional=True)])
    series = 'shipway_mcp_probe_failures_total{server="toy"}'
    running.wait_for(lambda: samples(running).get(series, 0) >= 3, "failed probes")
    found = samples(running)
    assert found['shipway_mcp_up{server="toy"}'] == 0
    assert [name for name in found if name.startswith("shipway_mcp_state_start_time_seconds")]


@pytest.mark.parametrize("broken", [False, True])
def test_the_agents_own_metrics_are_on_the_page_and_cannot_break_it(start, broken):
    running = start(AGENT % broken)
    found = samples(running)
    assert found["orders_total"] == 3
    assert found["shipway_ready"] == 1
    assert ("ValueError: no" in running.log()) is broken


def test_openmetrics_for_who_asks(start):
    running = start(HELLO)
    answer = running.admin.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_promtool_has_nothing_to_say(start, engine: Callable[[str], str]):
    promtool = engine("promtool")
    running = start(HELLO, mcp=[server()])
    call(running, "echo", {"text": "x"})
    running.ask()
    text = running.admin.get("/metrics").text
    ours = "\n".join(line for line in text.splitlines() if re.match(r"(# \w+ )?shipway_", line)) + "\n"
    assert "shipway_mcp_call_duration_seconds_bucket" in ours
    assert "shipway_turn_duration_seconds_bucket" in ours
    done = subprocess.run([promtool, "check", "metrics"], input=ours, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_nobody_pays_for_the_page_before_it_is_asked_for(start):
    source = "import sys\nasync def agent(messages, ctx): return str('prometheus_client' in sys.modules)"
    running = start(source, mcp=[server()])

    def loaded() -> str:
        return running.ask().json()["output"][0]["content"][0]["text"]

    assert loaded() == "False"
    running.admin.get("/metrics")
    assert loaded() == "True"


def test_outside_development_calls_are_json_lines_with_fields(start):
    settings = {"api": {"auth": "none"}}
    running = start(HELLO, mcp=[server()], settings=settings, env={"SHIPWAY_ENV": "prod"})
    call(running, "echo", {"text": "private"}, traceparent=PARENT)
    lines = [json.loads(line) for line in running.log().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("tool") == "echo"]
    assert line.pop("duration_s") > 0
    assert line.pop("message").startswith("toy: echo ok in ")
    del line["time"], line["revision"]
    assert line == {
        "level": "info",
        "logger": "shipway.mcp",
        "server": "toy",
        "tool": "echo",
        "outcome": "ok",
        "trace_id": PARENT[3:35],
    }
    assert "private" not in running.log()


def test_secrets_have_an_age_and_an_end(start, token_server, tmp_path):
    mounted = tmp_path / "TOKEN"
    mounted.write_text("a-mounted-token")
    os.utime(mounted, (1000.0, 1000.0))
    broker = {"token_url": token_server.url, "client_id": "a", "client_secret": "TOKEN"}
    secrets = {"TOKEN": {"source": "file"}, "CRM": {"source": "broker", "broker": broker}}
    running = start(HELLO, settings={"secrets": secrets}, env={"SHIPWAY_SECRETS": str(tmp_path)})
    found = samples(running)
    assert found['shipway_secret_update_time_seconds{secret="TOKEN"}'] == 1000.0
    assert 'shipway_secret_expiry_time_seconds{secret="TOKEN"}' not in found
    began = found['shipway_secret_update_time_seconds{secret="CRM"}']
    assert found['shipway_secret_expiry_time_seconds{secret="CRM"}'] - began == pytest.approx(3600, abs=60)
    assert found['shipway_secret_up{secret="CRM"}'] == 1
    mounted.unlink()
    running.wait_for(lambda: samples(running)['shipway_secret_up{secret="TOKEN"}'] == 0, "its absence")
    assert "token-1" not in running.admin.get("/metrics").text
