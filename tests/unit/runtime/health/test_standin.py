from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest
from tests.processes import alive

from shipway_runtime.health.standin import answer


@pytest.mark.parametrize(
    ("head", "age_s", "status", "word"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 1, b"200 OK", "starting"),
        (b"GET /readyz HTTP/1.1\r\n\r\n", 1, b"503 Service Unavailable", "unready"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 301, b"503 Service Unavailable", "stalled"),
        (b"GET /config HTTP/1.1\r\n\r\n", 1, b"503 Service Unavailable", None),
        (b"", 1, b"503 Service Unavailable", None),
    ],
)
def test_what_is_answered(head, age_s, status, word):
    first, _, rest = answer(head, age_s, 300, "r-1").partition(b"\r\n")
    assert first == b"HTTP/1.1 " + status
    assert json.loads(rest.partition(b"\r\n\r\n")[2]).get("status") == word


def test_head_has_no_body():
    assert answer(b"HEAD /healthz HTTP/1.1\r\n\r\n", 1, 300, "r-1").endswith(b"connection: close\r\n\r\n")


HOLDING = """
import ctypes, os
gate = os.open({gate!r}, os.O_RDWR)
print("holding", flush=True)
ctypes.PyDLL(None).read(gate, ctypes.create_string_buffer(1), 1)  # PyDLL keeps the interpreter to itself
async def agent(messages): return "here"
"""


def test_probes_are_answered_while_an_import_holds_the_interpreter(start, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    running = start(HOLDING.format(gate=str(gate)), ready=False)
    running.wait_for(lambda: "holding" in running.stdout.read_text(), "import")
    for _ in range(3):
        health = running.admin.get("/healthz")
        assert (health.status_code, health.json()["status"]) == (200, "starting")
        assert health.json()["at"] == "an import holds the interpreter"
        assert running.admin.get("/readyz").status_code == 503
    with socket.create_connection(("127.0.0.1", running.ports["ADMIN"]), timeout=20):
        assert running.get_admin("/healthz") == 200, "one that says nothing holds nobody up for long"
    gate.write_bytes(b"x")
    running.wait_ready()
    assert running.ask().status_code == 200
    assert children(running.process.pid) == [], "the stand-in is gone"
    running.terminate()
    assert running.exit_code() == 0


def test_probes_are_answered_while_python_computes(start, tmp_path):
    gate = tmp_path / "gate"
    source = f"import os\nwhile not os.path.exists({str(gate)!r}): sum(range(10_000))\n"
    running = start(source + "async def agent(messages): return 'here'", ready=False)
    running.wait_for(lambda: running.get_admin("/healthz") == 200, "health")
    assert running.admin.get("/healthz").json()["status"] == "starting"
    gate.touch()
    running.wait_ready()


def test_a_stand_in_ends_with_its_process(start, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    running = start(HOLDING.format(gate=str(gate)), ready=False)
    running.wait_for(lambda: "holding" in running.stdout.read_text(), "import")
    [stand_in] = children(running.process.pid)
    running.process.kill()
    running.process.wait()
    while alive(stand_in):
        time.sleep(0.01)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
