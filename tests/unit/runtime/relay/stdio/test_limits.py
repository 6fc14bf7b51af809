"""Limits of one server: memory of its process, garbage that it writes, and what of this process it sees."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys

import pytest

from shipway_runtime.contract import McpServer
from shipway_runtime.relay.stdio import limits

pytestmark = pytest.mark.slow

MB = 2**20
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limit is Linux's")

GREEDY = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "tools/call":
        kept = bytearray(message["params"]["arguments"]["bytes"])
    if "id" in message:
        result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""

LOUD = """
import os, sys, time
for _ in range(100):
    os.write(int(sys.argv[1]), b"x" * 1_000_000)
open(sys.argv[2], "w").close()
time.sleep(600)
"""


@needs_linux
def test_a_server_above_its_memory_ends_and_says_why(harness):
    async def scenario():
        greedy = McpServer("greedy", "inside", (sys.executable, "-c", GREEDY), memory=64 * MB)
        async with harness.running(greedy, harness.toy_server()) as relay:
            client = relay.client("greedy")
            await relay.up("greedy")
            small = await client.post("tools/call", {"name": "x", "arguments": {"bytes": MB}})
            assert "result" in small.json()
            assert "ended" in (await client.failure("x", bytes=200 * MB))["message"]
            state = await harness.until(
                lambda: (state := relay.relay.states()["greedy"]).restarts and state.last_error and state
            )
            assert (
                "exited with code 1; its memory limit is 64 MiB; its last words: MemoryError"
                in state.last_error
            )
            assert relay.relay.states()["toy"].restarts == 0
            await relay.up("greedy")

    asyncio.run(scenario())


@needs_linux
def test_a_limit_below_what_the_relay_itself_has_keeps_nothing_from_starting(harness):
    async def scenario():
        ballast = bytearray(300 * MB)
        async with harness.running(harness.toy_server(memory=64 * MB)) as relay:
            pid = (await relay.up()).pid
            text = pathlib.Path(f"/proc/{pid}/limits").read_text()
            (line,) = [line for line in text.splitlines() if line.startswith("Max data size")]
            assert line.split()[3:5] == [str(64 * MB)] * 2
        assert ballast

    asyncio.run(scenario())


def test_node_keeps_its_own_limit_as_well():
    command = ("/app/mcp/files/bin/node", "/app/mcp/files/main", "/data")
    assert limits.bounded(command, None) == command
    assert limits.bounded(command, 128 * MB) == (command[0], "--max-old-space-size=96", *command[1:])
    assert limits.bounded(("python", "x"), 128 * MB) == ("python", "x")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"MemoryError", True),
        (b"RuntimeError: can't start new thread", True),
        (b"FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", True),
        (b"terminate called after throwing an instance of 'std::bad_alloc'", True),
        (b"remembered 3 things", False),
    ],
)
def test_words_that_speak_of_memory(line, expected):
    assert limits.speaks_of_memory(line) is expected


def peak_kib(pid):
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])


PROBE = """
import asyncio, os, sys
from shipway_runtime.contract import McpServer
from shipway_runtime.relay import Relay

async def main(toy, written, *loud):
    servers = [
        McpServer("loud", "inside", (sys.executable, "-c", *loud, written), message_limit=4_000_000),
        McpServer("calm", "inside", (sys.executable, toy)),
    ]
    relay = Relay(servers, secret=lambda _: None, environ={})
    await relay.start()
    while relay.states()["calm"].state != "up":
        await asyncio.sleep(0.01)
    print("up", flush=True)
    while not os.path.exists(written):
        assert await relay.probe("calm") is None
    print("written", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await relay.close(0.5)

asyncio.run(main(*sys.argv[1:]))
"""


@needs_linux
@pytest.mark.parametrize("descriptor", ["1", "2"])
def test_100_mb_without_a_line_end_cost_little_and_hold_no_other_server_up(harness, tmp_path, descriptor):
    words = [sys.executable, "-c", PROBE, str(harness.TOY), str(tmp_path / "written"), LOUD, descriptor]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "up\n"
        before = peak_kib(process.pid)
        assert process.stdout.readline() == "written\n"
        assert peak_kib(process.pid) - before < 20_000
        process.communicate("\n")
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


NOT_FOR_SERVERS = {
    "ANTHROPIC_API_KEY": "sk-agent",
    "SHIPWAY_ADMIN_TOKEN": "admin",
    "SHIPWAY_CONTROL_URL": "https://control",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=secret",
    "AWS_SECRET_ACCESS_KEY": "aws",
    "PYTHONPATH": "/agent/src",
    "NODE_OPTIONS": "--inspect",
}
FOR_ALL = {
    "PATH": os.environ["PATH"],
    "LC_TIME": "de_DE.UTF-8",
    "LANGUAGE": "de",
    "https_proxy": "http://proxy:3128",
    "NODE_EXTRA_CA_CERTS": "/etc/ca.pem",
    "BAGGAGE": "a=b",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318",
}


@needs_linux
def test_a_servers_process_has_its_own_environment_and_no_other(harness):
    """As the server sees it, and as the kernel keeps it for whoever may read /proc/PID/environ."""

    async def scenario():
        servers = [
            harness.toy_server(name=name, env={f"OF_{name}": "1"}, secrets=(f"KEY_{name}",))
            for name in ("A", "B")
        ]
        secrets = {"KEY_A": "a", "KEY_B": "b", "ANTHROPIC_API_KEY": "sk-agent"}
        async with harness.running(*servers, environ=NOT_FOR_SERVERS | FOR_ALL, secrets=secrets) as relay:
            for name, other in ("AB", "BA"):
                pid = (await relay.up(name)).pid
                kept = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                kept = dict(entry.decode().split("=", 1) for entry in kept if entry)
                expected = FOR_ALL | {f"OF_{name}": "1", f"KEY_{name}": name.lower()}
                assert kept == expected
                seen = json.loads(await relay.client(name).call("env"))
                assert {k: v for k, v in seen.items() if k != "LC_CTYPE"} == expected  # the interpreter's own
                assert f"KEY_{other}" not in seen

    asyncio.run(scenario())


def test_node_is_told_of_a_proxy(harness, tmp_path):
    """Node 24 leaves HTTP_PROXY alone without it."""
    node = tmp_path / "node"
    node.symlink_to(sys.executable)

    async def scenario(environ):
        server = McpServer("toy", "inside", (str(node), str(harness.TOY)))
        async with harness.running(server, harness.toy_server(name="python"), environ=environ) as relay:
            python = json.loads(await relay.client("python").call("env"))
            return json.loads(await relay.client().call("env")), python

    node_seen, python_seen = asyncio.run(scenario({"HTTPS_PROXY": "http://proxy:3128"}))
    assert node_seen["NODE_USE_ENV_PROXY"] == "1"
    assert "NODE_USE_ENV_PROXY" not in python_seen
    assert "NODE_USE_ENV_PROXY" not in asyncio.run(scenario({}))[0]
    own = {"HTTPS_PROXY": "http://proxy:3128", "NODE_USE_ENV_PROXY": "0"}
    assert asyncio.run(scenario(own))[0]["NODE_USE_ENV_PROXY"] == "0"
