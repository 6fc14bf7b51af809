"""Where servers are, and what is wrong with saying so."""

import subprocess
import sys

import pytest

from shipway_runtime.contract import ContractError, McpServer
from shipway_runtime.relay import Relay
from shipway_runtime.relay.app import locate

INSIDE = McpServer("my-time", "inside", ("time-server",))
SERVICE = McpServer("crm", "service", url="https://crm.example.com/mcp")


def test_the_manifest_says_where_a_server_is():
    assert locate(INSIDE, {}) == INSIDE
    assert locate(SERVICE, {}) == SERVICE


def test_the_environment_says_it_louder():
    assert locate(INSIDE, {"SHIPWAY_MCP_MY_TIME_COMMAND": '["a", "b"]'}).command == ("a", "b")
    assert (
        locate(SERVICE, {"SHIPWAY_MCP_CRM_TARGET": "http://127.0.0.1:1/mcp"}).url == "http://127.0.0.1:1/mcp"
    )


@pytest.mark.parametrize("text", ["", "time-server", "[1]", '{"a": 1}', "[]"])
def test_a_command_must_be_a_list_of_words(text):
    with pytest.raises(ContractError, match="SHIPWAY_MCP_MY_TIME_COMMAND: expected a command"):
        locate(INSIDE, {"SHIPWAY_MCP_MY_TIME_COMMAND": text})


def test_a_server_must_be_somewhere():
    with pytest.raises(ContractError, match="SHIPWAY_MCP_CRM_TARGET"):
        Relay([McpServer("crm", "sidecar")], secret={}.get, environ={})
    with pytest.raises(ContractError, match="'time': expected a command"):
        Relay([McpServer("time", "inside")], secret={}.get, environ={})


def test_importing_the_relay_imports_nothing_heavy():
    heavy = "httpx2, mcp, starlette, uvicorn, anyio, pydantic"
    code = f"import sys, shipway_runtime.relay; print(sorted(set('{heavy}'.split(', ')) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
