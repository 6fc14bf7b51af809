from __future__ import annotations

import asyncio
import socket

import pytest

from shipway_runtime.admin.port import BODY_LIMIT, Admin, Change
from shipway_runtime.admin.token import AdminToken
from shipway_runtime.secrets.declared import Given

ROUTES = {
    "/healthz": lambda: (200, {"status": "ok"}),
    "/policy": lambda: (200, {}),
    "/config": lambda: (200, {}),
}
TOKEN = "0123456789abcdef"
CHANGES: list[Change] = []


async def page(accept: str) -> tuple[str, bytes]:
    return "text/plain; version=0.0.4", f"for {accept}\n".encode()


async def change(asked: Change):
    if asked.body == b"fail":
        raise ValueError("unexpected")
    CHANGES.append(asked)
    return 200, {"done": True}


def exchange(*parts: bytes) -> bytes:
    """What the admin port answers to raw bytes, sent part by part, until it closes."""

    async def run() -> bytes:
        token = AdminToken(Given("SHIPWAY_ADMIN_TOKEN", TOKEN), lambda value: None)
        changes = {("PUT", "/thing"): change}
        admin = Admin(ROUTES, {"/metrics": page}, changes, token, frozenset({"/config"}))
        with socket.create_server(("127.0.0.1", 0)) as sock:
            server = await admin.serve(sock)
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            async with asyncio.timeout(20):
                answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            server.close()
            return answer

    return asyncio.run(run())


def test_a_document_and_a_closed_connection():
    answer = exchange(b"GET /healthz?verbose=1 HTTP/1.1\r\n", b"host: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in head.lower()
    assert body == b'{\n  "status": "ok"\n}\n'


def test_a_page_that_is_no_document():
    answer = exchange(b"GET /metrics HTTP/1.1\r\nhost: x\r\nAccept: a/b\r\naccept: c/d\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: text/plain; version=0.0.4\r\n" in head.lower()
    assert body == b"for a/b,c/d\n"


def test_head_has_no_body():
    answer = exchange(b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_line", "status", "text"),
    [
        (b"GET /nope", b"404", b"there is /healthz, /policy, /config, /metrics"),
        (b"POST /healthz", b"405", b"GET and HEAD"),
        (b"POST /metrics", b"405", b"GET and HEAD"),
        (b"PUT /policy", b"405", b"GET and HEAD"),
    ],
)
def test_what_is_not_there(request_line, status, text):
    answer = exchange(request_line + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    assert answer.split(b" ")[1] == status
    assert text in answer


def test_what_is_not_http():
    assert exchange(b"\x16\x03\x01\x00\x00 hello\r\n\r\n").startswith(b"HTTP/1.1 400")


# -- Changes, and what is private ----------------------------------------------------------------------------


def put(
    body: bytes, authorization: str | None, *, length: int | None = None, more: str = ""
) -> tuple[int, bytes]:
    CHANGES.clear()
    shown = f"authorization: {authorization}\r\n" if authorization is not None else ""
    size = len(body) if length is None else length
    head = f"PUT /thing HTTP/1.1\r\nhost: x\r\n{shown}{more}content-length: {size}\r\n\r\n"
    answer = exchange(head.encode(), body)
    return int(answer.split(b" ")[1]), answer


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}"])
def test_a_change_with_the_token(authorization):
    status, answer = put(b'{"a": 1}', authorization, more="X-Who: me\r\n")
    assert status == 200
    assert b'"done": true' in answer
    [seen] = CHANGES
    assert (seen.body, seen.headers["x-who"], seen.peer) == (b'{"a": 1}', "me", "127.0.0.1")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer é",
    ],
)
def test_no_change_without_the_token(authorization):
    status, answer = put(b"{}", authorization)
    assert status == 401
    assert b"www-authenticate: Bearer" in answer
    assert b"what SHIPWAY_ADMIN_TOKEN holds" in answer
    assert TOKEN.encode() not in answer
    assert CHANGES == []


def test_a_body_is_bounded():
    assert put(b"x" * (BODY_LIMIT + 1), f"Bearer {TOKEN}")[0] == 413
    assert put(b"x" * (BODY_LIMIT + 1), "Bearer no")[0] == 401
    assert CHANGES == []


def test_a_client_that_waits_to_be_asked_for_its_body():
    answer = put(b"{}", f"Bearer {TOKEN}", more="expect: 100-continue\r\n")[1]
    assert answer.startswith(b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200")
    assert put(b"", "Bearer no", length=5, more="expect: 100-continue\r\n")[0] == 401


def test_a_change_that_fails_says_so(caplog):
    status, answer = put(b"fail", f"Bearer {TOKEN}")
    assert status == 500
    assert b"unexpected" not in answer
    assert "a change through the admin port failed" in caplog.text


def test_reading_what_is_private():
    refused = exchange(b"GET /config HTTP/1.1\r\nhost: x\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 401")
    assert b"/config takes the admin token" in refused
    shown = f"GET /config HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    assert exchange(shown.encode()).startswith(b"HTTP/1.1 200")
