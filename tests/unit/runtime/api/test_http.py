"""The wire: what clients send that is not what a client library sends."""

from __future__ import annotations

import gzip
import json
import socket

import pytest

AGENT = """
async def agent(messages, ctx):
    said = messages[-1]["content"]
    return "half \\ud800" if said == "half" else said
"""
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def running(start_shared):
    return start_shared(AGENT)


def post(running, body, **headers):
    given = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return running.api.post("/v1/responses", content=body, headers=given)


def said(response):
    assert response.status_code == 200, response.text
    return response.json()["output"][0]["content"][0]["text"]


def talk(running, data, *, until=b"\r\n\r\n"):
    """What comes back for raw bytes, until the connection closes or `until` has come."""
    with socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20) as sock:
        sock.sendall(data)
        answer = b""
        while until not in answer and (piece := sock.recv(65536)):
            answer += piece
        return answer


def request(body=b'{"input": "hi"}', *headers, version=b"1.1", length=True):
    lines = [b"POST /v1/responses HTTP/" + version, b"host: x", *headers]
    lines += [b"content-length: %d" % len(body)] if length else []
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON; charset="UTF8"',
        "application/a+json",
    ],
)
def test_json_by_any_of_its_names(running, kind):
    assert said(post(running, b'{"input": "hi"}', content_type=kind)) == "hi"


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"content_type": "text/plain"}, "saw text/plain"),
        ({"content_type": "application/x-www-form-urlencoded"}, "saw application/x-www-form-urlencoded"),
        ({"content_type": "application/json; charset=latin-1"}, "charset=latin-1"),
        ({"content_encoding": "gzip"}, "saw gzip"),
    ],
)
def test_other_bodies_are_a_415(running, headers, word):
    response = post(running, gzip.compress(b'{"input": "hi"}'), **headers)
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "unsupported_media_type"
    assert word in response.json()["error"]["message"]


def test_text_outside_ascii(running):
    assert said(post(running, b'\xef\xbb\xbf{"input": "hi"}')) == "hi", "a byte order mark is skipped"
    assert said(post(running, json.dumps({"input": "ü 😀"}).encode())) == "ü 😀"
    assert said(post(running, json.dumps({"input": "\x00"}).encode())) == "\x00"


@pytest.mark.parametrize(
    "body",
    [
        b'{"input": "\\ud800"}',
        b'{"input": "\xed\xa0\x80"}',
        '{"input": "hi"}'.encode("utf-16"),
        b'{"input": "hi", "temperature": NaN}',
        b'{"input": ' + b"1" * 5000 + b"}",
        b"",
    ],
)
def test_what_only_looks_like_json_is_refused(running, body):
    response = post(running, body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


def test_an_agent_that_gives_half_a_character_does_not_break_the_answer(running):
    assert said(post(running, b'{"input": "half", "store": false}')) == "half ?"


def test_a_body_that_is_waited_for(running):
    sock = socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20)
    with sock:
        sock.sendall(request(b"", b"expect: 100-continue", b"content-length: 15", length=False))
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'{"input": "hi"}')
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(running):
    asked = request(b"", b"expect: 100-continue", b"content-length: 99999999", length=False)
    assert talk(running, asked).startswith(b"HTTP/1.1 413 ")


def test_old_clients(running):
    answer = talk(running, request(version=b"1.0"), until=b"never")
    assert answer.startswith(b"HTTP/1.1 200 "), "and the connection closes"
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"}")


def test_requests_one_after_another_without_waiting(running):
    answer = talk(running, request(b'{"input": "one"}') + request(b'{"input": "two"}'), until=b'"text":"two"')
    assert answer.index(b'"text":"one"') < answer.index(b'"text":"two"')


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        request(b"{}", b"content-length: 7"),
        request(b"{}", b"content-length: -1", length=False),
        request(b"zz\r\n{}", b"transfer-encoding: chunked", length=False),
    ],
    ids=["tls", "two lengths", "negative length", "bad chunks"],
)
def test_what_is_not_http_is_a_400(running, data):
    assert talk(running, data, until=b"never").startswith(b"HTTP/1.1 400 ")


def test_headers_are_limited(running):
    try:
        answer = talk(running, request(b"{}", b"x: " + b"y" * 300_000), until=b"never")
    except ConnectionResetError:  # it closed with more under way, which may overtake the answer
        answer = b""
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


def test_other_methods_and_paths(running):
    head = running.api.head("/ping")
    assert (head.status_code, head.content) == (200, b"")
    for method, path, allowed in (("OPTIONS", "/ping", "GET, HEAD"), ("PUT", "/v1/responses", "POST")):
        response = running.api.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)
        assert response.json()["error"]["code"] == "method_not_allowed"
    for path in ("/v1/responses/", "/v1/Responses", "/v1/responses%2F"):
        response = running.api.post(path, json={"input": "hi"})
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"


def test_the_log_has_no_traceback(running):
    assert "Traceback" not in running.log()
