"""What SDKs raise, by real exchanges with a server that fails; those that are not installed here are in
tests/engines/test_model_faults.py."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import anthropic
import httpx2
import pytest

from shipway_runtime.health.faults import Fault, find_fault, marked, retry_after


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


def test_an_answer_that_an_sdk_cannot_read_is_the_models_doing(server):
    server.status, server.kind = 200, "text/event-stream"
    server.body = b'event: message_start\ndata: {"type": "message_start", "mess\n\n'
    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as client:
        messages = [{"role": "user", "content": "hi"}]
        error = raised(
            lambda: list(client.messages.create(model="m", max_tokens=1, messages=messages, stream=True))
        )
    assert find_fault(error, "") == Fault("an answer that cannot be read (JSONDecodeError)")


def test_json_that_an_agent_reads_itself_is_its_own():
    assert find_fault(raised(lambda: json.loads("{")), "127.0.0.1") is None


def test_an_error_in_a_stream_may_have_the_status_of_its_answer_beside_its_own():
    class ServerError(Exception):
        code = 503
        response = SimpleNamespace(status_code=200, headers={"retry-after": "3"})

    ServerError.__module__ = "google.genai.errors"
    assert find_fault(ServerError(), "") == Fault("HTTP 503 (ServerError)", retry_s=3.0)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "99999"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers, wait):
    assert retry_after(headers) == wait


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx2.ReadTimeout("late"), "did not answer in time (ReadTimeout)"),
        (httpx2.ConnectTimeout("nobody"), "cannot be reached (ConnectTimeout)"),
        (httpx2.RemoteProtocolError("cut"), "broke off its answer (RemoteProtocolError)"),
        (httpx2.ReadError("cut"), "broke off its answer (ReadError)"),
    ],
)
def test_where_a_connection_failed(error, reason):
    error.request = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
    assert find_fault(error, "127.0.0.1").reason == reason


def test_what_is_known_of_an_error_is_known_of_what_is_raised_from_it():
    fault = Fault("ended a stream without message_stop")

    def wrapped():
        raise RuntimeError("connection error") from marked(OSError("x"), fault)

    assert find_fault(raised(wrapped), "") == fault
