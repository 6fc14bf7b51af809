from __future__ import annotations

import asyncio
import socket

import pytest

from shipway_runtime.admin import Admin

ROUTES = {"/healthz": lambda: (200, {"status": "ok"}), "/policy": lambda: (200, {})}


async def page(accept: str) -> tuple[str, bytes]:
    return "text/plain; version=0.0.4", f"for {accept}\n".encode()


def exchange(*parts: bytes) -> bytes:
    """What the admin port answers to raw bytes, sent part by part, until it closes."""

    async def run() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            server = await Admin(ROUTES, {"/metrics": page}).serve(sock)
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
        (b"GET /nope", b"404", b"there is /healthz, /policy, /metrics"),
        (b"POST /healthz", b"405", b"GET and HEAD"),
        (b"POST /metrics", b"405", b"GET and HEAD"),
        (b"PUT /policy", b"501", b"not yet"),
    ],
)
def test_what_is_not_there(request_line, status, text):
    answer = exchange(request_line + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    assert answer.split(b" ")[1] == status
    assert text in answer


def test_what_is_not_http():
    assert exchange(b"\x16\x03\x01\x00\x00 hello\r\n\r\n").startswith(b"HTTP/1.1 400")
