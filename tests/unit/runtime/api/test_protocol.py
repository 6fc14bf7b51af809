"""Slow clients, against a real server that waits for less long than the runtime does."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
import uvicorn

from shipway_runtime.api import exchange, protocol

pytestmark = pytest.mark.slow

BOUND_S = 20


class App:
    """Sends without an end on /endless; else answers. `left` is set once its client has gone."""

    def __init__(self):
        self.sent, self.left = 0, asyncio.Event()

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/endless":
            watching = asyncio.create_task(self._watch(receive))
            while not self.left.is_set():
                self.sent += 1
                await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            await watching
            return
        await send({"type": "http.response.body", "body": b"ok"})

    async def _watch(self, receive):
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


@contextlib.asynccontextmanager
async def serving(app, **limits):
    sock = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=type("Quick", (protocol.Bounded,), limits), log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # this process's signals are pytest's
    task = asyncio.create_task(server.serve([sock]))
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await task


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), BOUND_S))


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n"])
@pytest.mark.parametrize("answered", [False, True])
def test_a_client_that_does_not_send_its_headers_is_left(beginning, answered):
    async def scenario():
        async with serving(App(), headers_s=0.2) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if answered:  # a connection that is kept alive, too
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                await reader.readuntil(b"0\r\n\r\n")
            writer.write(beginning or (b"G" if answered else b""))
            assert await reader.read() == b""
            writer.close()

    run(scenario)


def test_drop_by_drop_is_no_way_to_send_headers():
    async def scenario():
        async with serving(App(), headers_s=0.3) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)

            async def drip():
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
                with contextlib.suppress(ConnectionError):
                    while True:
                        writer.write(b"a: b\r\n")
                        await writer.drain()
                        await asyncio.sleep(0.02)

            dripping = asyncio.create_task(drip())
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            dripping.cancel()
            writer.close()

    run(scenario)


def test_an_idle_connection_between_two_requests_is_kept():
    async def scenario():
        async with serving(App(), headers_s=0.1) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                assert b"200" in await reader.readuntil(b"0\r\n\r\n")
                await asyncio.sleep(0.3)
            writer.close()

    run(scenario)


def test_a_client_that_does_not_read_is_left_and_does_not_fill_the_memory():
    async def scenario():
        app = App()
        async with serving(app, read_s=0.3) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
            writer.write(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
            await app.left.wait()
            assert app.sent * 10_000 < 20_000_000, "the kernel's buffers, and ours of 64 kB"
            writer.close()

    run(scenario)


def test_a_client_that_reads_slowly_is_kept():
    async def scenario():
        app = App()
        async with serving(app, read_s=1.0) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
            writer.write(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
            for _ in range(20):
                await reader.read(1_000_000)
                await asyncio.sleep(0.1)
            assert not app.left.is_set()
            writer.close()
            await app.left.wait()

    run(scenario)


def test_a_body_that_does_not_come_is_a_408(monkeypatch):
    monkeypatch.setattr(exchange, "BODY_S", 0.05)

    async def receive():
        await asyncio.sleep(BOUND_S)

    async def scenario():
        with pytest.raises(exchange.ApiError) as caught:
            await exchange.read_json({b"content-length": b"10"}, receive, 100)
        assert (caught.value.status, caught.value.headers["connection"]) == (408, "close")

    run(scenario)
