"""Clients that leave: their turn ends, and so does what the agent had asked of a model."""

from __future__ import annotations

import json
import socket
import socketserver
import threading

import pytest

AGENT = """
import httpx2, os

async def agent(messages, ctx):
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            async with client.stream("GET", os.environ["UPSTREAM"] + "/" + messages[-1]["content"]) as answer:
                async for text in answer.aiter_text():
                    yield text
    finally:
        print("closed", flush=True)
"""


class Upstream(socketserver.ThreadingTCPServer):
    """A model that never ends. Knows when it was asked, and when whoever asked had gone."""

    daemon_threads = allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Stream)
        self.asked, self.left = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Stream(socketserver.BaseRequestHandler):
    def handle(self):
        asked = self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        if b"GET /speaks" in asked:
            self.request.sendall(b"5\r\nfirst\r\n")
        self.server.asked.set()
        self.request.settimeout(20)
        if self.request.recv(1) == b"":
            self.server.left.set()


@pytest.fixture
def upstream():
    server = Upstream()
    yield server
    server.shutdown()
    server.server_close()


def request(path, **body):
    content = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (
        path.encode(),
        len(content),
        content,
    )


@pytest.mark.parametrize("kept_alive", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "speaks", "stream": True}),
        ("/v1/responses", {"input": "silent", "stream": True}),
        ("/v1/responses", {"input": "speaks"}),
        ("/invocations", {"prompt": "silent"}),
    ],
)
def test_a_client_that_leaves_stops_what_its_turn_had_asked(start, upstream, path, body, kept_alive):
    running = start(AGENT, env={"UPSTREAM": upstream.url})
    with socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20) as client:
        if kept_alive:
            client.sendall(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = b""
            while b"}" not in answer:
                answer += client.recv(65536)
        client.sendall(request(path, **body))
        assert upstream.asked.wait(20)
    assert upstream.left.wait(20), "the model goes on for nobody"
    running.wait_for(lambda: [o["status"] for o in running.outcomes()] == ["cancelled"], "outcome")
    assert "Traceback" not in running.log()


def test_a_client_that_leaves_at_once_leaves_nothing_behind(start, upstream):
    running = start(AGENT, env={"UPSTREAM": upstream.url})
    with socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20) as client:
        client.sendall(request("/v1/responses", input="silent"))
    running.wait_for(lambda: [o["status"] for o in running.outcomes()] == ["cancelled"], "outcome")
    assert running.api.get("/ping").json()["status"] == "Healthy"


def test_a_turn_that_takes_too_long_is_stopped(start, upstream):
    running = start(AGENT, env={"UPSTREAM": upstream.url}, settings={"api": {"timeout_s": 0.3}})
    whole = running.ask("speaks")
    assert (whole.status_code, whole.json()["error"]["code"]) == (504, "turn_timeout")
    assert whole.headers["x-should-retry"] == "false", "it may have acted, and would act again"
    assert upstream.left.wait(20)
    last = running.ask("speaks", stream=True).text.strip().split("\n\n")[-1]
    assert last.startswith("event: response.failed\n")
    failed = json.loads(last.partition("data: ")[2])["response"]
    assert failed["error"]["type"] == "turn_timeout"
    assert failed["output"][0]["status"] == "incomplete"
    running.wait_for(lambda: [o["status"] for o in running.outcomes()] == ["error", "error"], "outcomes")


def test_a_client_that_does_not_read_is_stopped_with_its_turn(start):
    source = "async def agent(messages):\n    while True:\n        yield 'x' * 100_000\n"
    running = start(source, settings={"api": {"timeout_s": 0.5}})
    with socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20) as client:
        client.sendall(request("/v1/responses", input="hi", stream=True))
        running.wait_for(lambda: [o["status"] for o in running.outcomes()] == ["error"], "outcome")
    assert "Traceback" not in running.log()
    assert running.api.get("/ping").status_code == 200
