from __future__ import annotations

import asyncio
import socket

import pytest

from shipway_runtime.checks import _redacted, connect, route
from shipway_runtime.contract import Secret
from shipway_runtime.health import Check
from shipway_runtime.secrets import Secrets


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, ("api.example.com", 443)),
        ({"HTTPS_PROXY": "http://proxy:3128"}, ("proxy", 3128)),
        ({"https_proxy": "proxy:3128"}, ("proxy", 3128)),
        ({"ALL_PROXY": "http://proxy:3128"}, ("proxy", 3128)),
        ({"HTTP_PROXY": "http://proxy:3128"}, ("api.example.com", 443)),
        (
            {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost, .example.com"},
            ("api.example.com", 443),
        ),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, ("api.example.com", 443)),
    ],
)
def test_the_way_to_a_model_leads_through_its_proxy(environ, place):
    assert route("https://api.example.com/v1", environ) == place


def test_a_connection_is_all_it_takes():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert asyncio.run(connect(f"http://127.0.0.1:{port}", {})) is None
    assert f"127.0.0.1:{port}: " in str(asyncio.run(connect(f"http://127.0.0.1:{port}", {})))


def test_a_server_that_repeats_its_credential_is_shown_without_it(tmp_path):
    secrets = Secrets({"CRM": Secret("env")}, tmp_path, {"CRM": "hunter22"})

    async def probe():
        return "saw HTTP 500: Bearer hunter22 is not mine"

    assert asyncio.run(_redacted(Check("mcp:crm", probe), secrets)()) == (
        "saw HTTP 500: Bearer [redacted] is not mine"
    )
