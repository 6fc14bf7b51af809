"""The relay alone, as a process: how a sidecar runs."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import httpx2
import pytest
from tests.ports import free_port

from shipway_runtime.contract import McpServer

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def alone(harness, *command, **more):
    """Gives the process and its URL, once it answers; `more` goes to the process."""
    port = free_port()
    words = [sys.executable, "-m", "shipway_runtime.relay", "toy", "--port", str(port), "--", *command]
    process = await asyncio.create_subprocess_exec(
        *words, env={**os.environ, "TZ": "UTC", "SHIPWAY_REVISION": "r-1"}, **more
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(harness.BOUND), httpx2.AsyncClient(trust_env=False, verify=False) as http:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(f"{url}/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.02)
            yield process, url, http
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def test_a_sidecar_behind_the_relay_of_its_agent(harness):
    async def scenario():
        async with alone(harness, sys.executable, str(harness.TOY)) as (process, url, http):
            health = (await http.get(f"{url}/healthz")).json()
            assert (health["status"], health["server"]["state"]) == ("ok", "up")
            assert (await http.get(f"{url}/")).status_code == 404
            assert (await http.get(f"{url}/mcp", headers={"host": "evil.example.com"})).status_code == 403
            for path in ("/mcp", "/mcp/toy"):
                client = harness.Client(http, url + path)
                assert await client.call("echo", text=path) == path

            server = McpServer("toy", "sidecar", url=f"{url}/mcp")
            async with harness.running(server) as relay:
                client = relay.client()
                assert (await client.open())["serverInfo"]["name"] == "toy"
                assert await client.call("echo", text="twice") == "twice"
                page = await http.get(f"{url}/metrics")
                assert page.headers["content-type"].startswith("text/plain; version=")
                assert 'shipway_mcp_up{server="toy"} 1.0' in page.text
                modern = await client.modern("tools/call", {"name": "echo", "arguments": {"text": "new"}})
                assert modern.json()["result"]["content"][0]["text"] == "new"
                assert await relay.relay.probe("toy") is None
                pid = int(await client.call("id"))
                os.kill(pid, signal.SIGKILL)
                while (await http.get(f"{url}/healthz")).json()["server"]["restarts"] == 0:
                    await asyncio.sleep(0.01)
                assert int(await client.call("id")) != pid
                pid = int(await client.call("id"))

            process.terminate()
            async with asyncio.timeout(harness.BOUND):
                assert await process.wait() == 0
            assert not harness.alive(pid)

    asyncio.run(scenario())


def test_everything_that_a_sidecar_says_names_the_revision(harness, tmp_path):
    async def scenario():
        with (tmp_path / "log").open("wb") as log:
            async with alone(harness, sys.executable, str(harness.TOY), stderr=log) as (_, url, http):
                answers = [
                    await http.get(f"{url}{path}") for path in ("/healthz", "/readyz", "/", "/metrics")
                ]
                client = harness.Client(http, f"{url}/mcp")
                assert {answer.headers["x-shipway-revision"] for answer in answers} == {"r-1"}
                assert 'shipway_sidecar_info{revision="r-1",' in answers[3].text
                assert "SHIPWAY_REVISION" not in await client.call("env")
                os.kill(int(await client.call("id")), signal.SIGKILL)
                while (await http.get(f"{url}/healthz")).json()["server"]["restarts"] == 0:
                    await asyncio.sleep(0.01)
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        assert lines
        assert {line["revision"] for line in lines} == {"r-1"}

    asyncio.run(scenario())


def test_nothing_outlives_a_relay_that_is_killed(harness):
    async def scenario():
        async with alone(harness, sys.executable, str(harness.TOY), "--ignore-eof") as (process, url, http):
            pid = int(await harness.Client(http, f"{url}/mcp").call("id"))
            process.kill()
            await process.wait()
            await harness.until(lambda: not harness.alive(pid))

    asyncio.run(scenario())


def test_a_wrong_command_line():
    words = [sys.executable, "-m", "shipway_runtime.relay", "toy"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected the server's command after --" in done.stderr


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        words = [sys.executable, "-m", "shipway_runtime.relay", "toy", "--port", port, "--", "cat"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "address already in use" in done.stderr
    assert "Traceback" not in done.stderr
