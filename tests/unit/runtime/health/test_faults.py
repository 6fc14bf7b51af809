"""What SDKs raise, by real exchanges with a server that fails; those that are not installed here are in
tests/engines/test_model_faults.py."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import httpx2
import pytest

from shipway_runtime.health.faults import Fault, find_fault


class Failing(ThreadingHTTPServer):
    """Answers everything with `status` and `body`."""

    status, body, kind = 500, b"{}", "application/json"

    def __init__(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(server.status)
                self.send_header("content-type", server.kind)
                self.send_header("content-length", str(len(server.body)))
                self.send_header("retry-after", "7")
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server():
    server = Failing()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def asked_by_anthropic(url, stream=False):
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, timeout=5) as client:
        message = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
        with pytest.raises(anthropic.APIError) as caught:
            list(client.messages.create(**message, stream=stream))
    return caught.value


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (529, Fault("HTTP 529 (OverloadedError)", retry_s=7.0)),
        (500, Fault("HTTP 500 (InternalServerError)", retry_s=7.0)),
        (429, Fault("HTTP 429 (RateLimitError)", retry_s=7.0)),
        (408, Fault("HTTP 408 (RequestTimeoutError)", retry_s=7.0)),
        (401, Fault("refuses the key that the agent gives (HTTP 401, AuthenticationError)", refused=True)),
        (403, Fault("refuses the key that the agent gives (HTTP 403, PermissionDeniedError)", refused=True)),
        (400, None),
        (404, None),
        (413, None),
        (422, None),
    ],
)
def test_statuses_of_an_sdk(server, status, expected):
    server.status = status
    assert find_fault(asked_by_anthropic(server.url), "127.0.0.1") == expected


def test_an_error_in_the_midst_of_a_stream(server):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    server.status, server.kind = 200, "text/event-stream"
    server.body = b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"
    fault = find_fault(asked_by_anthropic(server.url, stream=True), "")
    assert fault.reason.startswith("overloaded_error (")


def test_nobody_there():
    fault = find_fault(asked_by_anthropic("http://127.0.0.1:9"), "")
    assert fault.reason == "cannot be reached (APIConnectionError: Connection refused)"


def asked_by_httpx(url):
    with pytest.raises(httpx2.HTTPError) as caught:
        httpx2.post(url, json={}, trust_env=False, timeout=5).raise_for_status()
    return caught.value


def test_a_plain_client_counts_where_the_model_is_and_nowhere_else(server):
    error = asked_by_httpx(server.url)
    assert find_fault(error, "127.0.0.1") == Fault("HTTP 500 (HTTPStatusError)", retry_s=7.0)
    assert find_fault(error, "api.anthropic.com") is None, "a tool's own trouble"
    error = asked_by_httpx("http://127.0.0.1:9")
    assert find_fault(error, "127.0.0.1").reason == "cannot be reached (ConnectError: Connection refused)"
    assert find_fault(error, "api.anthropic.com") is None


def raised(make):
    try:
        make()
    except BaseException as error:  # noqa: BLE001
        return error


def test_wrappers_are_seen_through(server):
    server.status = 529
    cause = asked_by_anthropic(server.url)

    def wrapped():
        raise RuntimeError("the agent gave up") from cause

    def on_the_way():
        try:
            raise cause
        except anthropic.APIError:
            {}["missing"]

    def grouped():
        raise ExceptionGroup("several", [KeyError("x"), cause])

    for make in (wrapped, on_the_way, grouped):
        assert find_fault(raised(make), "").reason == "HTTP 529 (OverloadedError)"


def test_what_was_put_aside_does_not_count(server):
    cause = asked_by_anthropic(server.url)

    def aside():
        try:
            raise cause
        except anthropic.APIError:
            raise ValueError("no city of that name") from None

    assert find_fault(raised(aside), "") is None


def test_errors_of_the_agents_own():
    cycle = ValueError("x")
    cycle.__cause__ = cycle
    for error in (
        ValueError("x"),
        cycle,
        ConnectionError("a database"),
        TimeoutError(),
        TimeoutError(),
    ):
        assert find_fault(error, "127.0.0.1") is None
