"""The transport for plain HTTP on loopback, in front of servers that do as they are told."""

import asyncio
import contextlib

import httpx2
import pytest

from shipway_runtime.relay.http.wire import PlainTransport

FINE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Answers each request with the next piece of its script, and then does what the script says."""

    def __init__(self, *script):
        self.script = list(script)
        self.connections = 0
        self.requests = []
        self.sent = 0
        self.tasks = set()

    async def serve(self, reader, writer):
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        try:
            await self.follow(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def follow(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while self.script:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(length[0].partition(b":")[2])) if length else b""
                self.requests.append((head, body))
                answer, then = self.script.pop(0)
                for start in range(0, len(answer), 65536):
                    writer.write(answer[start : start + 65536])
                    await writer.drain()
                    self.sent += len(answer[start : start + 65536])
                if then == "close":
                    break


@contextlib.asynccontextmanager
async def talking(server):
    """A client of a server on a free port."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp?a=b"
    async with httpx2.AsyncClient(transport=PlainTransport(2.0), timeout=None) as client:
        try:
            yield client, url
        finally:
            await client.aclose()
            listening.close()
            for task in server.tasks:
                task.cancel()
            await asyncio.gather(*server.tasks, return_exceptions=True)


def run(server, scenario):
    async def all_of_it():
        async with asyncio.timeout(20), talking(server) as (client, url):
            return await scenario(client, url)

    return asyncio.run(all_of_it())


def test_a_connection_is_used_again():
    server = Server((FINE, "keep"), (FINE, "keep"), (FINE, "keep"))

    async def scenario(client, url):
        for n in range(3):
            answer = await client.post(url, content=b"x" * n, headers={"X-Mine": "1"})
            assert (answer.status_code, answer.content) == (200, b"ok")

    run(server, scenario)
    assert server.connections == 1
    assert [body for _, body in server.requests] == [b"", b"x", b"xx"]
    assert server.requests[2][0].startswith(b"POST /mcp?a=b HTTP/1.1\r\n")
    assert b"x-mine: 1\r\n" in server.requests[2][0].lower()
    assert server.requests[2][0].lower().count(b"host: 127.0.0.1:") == 1


def test_calls_at_once_have_connections_of_their_own():
    server = Server(*[(FINE, "keep")] * 8)

    async def scenario(client, url):
        await asyncio.gather(*(client.get(url) for _ in range(8)))

    run(server, scenario)
    assert server.connections == 8


def test_a_connection_that_the_server_closed_is_not_used_again():
    server = Server((FINE, "close"), (FINE, "close"))

    async def scenario(client, url):
        for _ in range(2):
            assert (await client.get(url)).content == b"ok"
            await asyncio.sleep(0.05)  # for the end to arrive

    run(server, scenario)
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + FINE,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok",
    ],
)
def test_bodies_of_every_kind(answer):
    async def scenario(client, url):
        return (await client.get(url)).content

    assert run(Server((answer, "close")), scenario) == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
    ],
)
def test_what_is_no_answer_is_an_error_of_the_client(answer):
    async def scenario(client, url):
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(url)

    run(Server((answer, "close")), scenario)


def test_a_header_that_http_does_not_have_is_an_error_of_the_client():
    async def scenario(client, url):
        with pytest.raises(httpx2.LocalProtocolError):
            await client.get(url, headers={"last-event-id": " "})
        assert (await client.get(url)).content == b"ok"

    run(Server((FINE, "keep")), scenario)


def test_nobody_there():
    async def scenario(client, url):
        with pytest.raises(httpx2.ConnectError, match="refused"):
            await client.get("http://127.0.0.1:9/")

    run(Server(), scenario)


def test_a_response_that_is_left_unread_costs_its_connection_and_no_memory():
    size = 50_000_000
    server = Server(
        (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size, "keep"), (FINE, "keep")
    )

    async def scenario(client, url):
        async with client.stream("GET", url) as response:
            assert len(await anext(response.aiter_raw())) < 5_000_000
            await asyncio.sleep(0.3)
            assert server.sent < 30_000_000  # the rest waits at the server's end
        assert (await client.get(url)).content == b"ok"

    run(server, scenario)
    assert server.connections == 2


def test_a_large_request_arrives_whole():
    server = Server((FINE, "keep"))

    async def scenario(client, url):
        await client.post(url, content=b"x" * 8_000_000)

    run(server, scenario)
    assert len(server.requests[0][1]) == 8_000_000
