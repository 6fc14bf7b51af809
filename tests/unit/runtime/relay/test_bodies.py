"""Large requests: they wait on their connections, not in the relay's memory."""

import asyncio
import contextlib
import json
import pathlib
import socket
import sys

import httpx2
import pytest

pytestmark = pytest.mark.slow

MB = 1_000_000


def message(tool, size=0, **arguments):
    params = {"name": tool, "arguments": {**arguments, "padding": "x" * size}}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


async def post(url, body, *, chunked=False):
    """Status and text of a POST. The body goes out as the other side takes it."""
    address = httpx2.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    length = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    head = f"POST {address.path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{length}\r\n"
    writer.write(head.encode() + b"accept: application/json\r\ncontent-type: application/json\r\n\r\n")
    with contextlib.suppress(ConnectionError):  # an answer that comes before the body's end closes it
        for start in range(0, len(body), 65536):
            part = body[start : start + 65536]
            writer.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if chunked else b"")
    answer = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2].decode()


@pytest.mark.parametrize("chunked", [False, True])
def test_the_size_limit_is_the_servers_own(harness, chunked):
    async def scenario():
        small = harness.toy_server(message_limit=MB)
        async with harness.running(small, harness.toy_server(name="large")) as relay:
            await relay.up()
            status, text = await post(relay.client().url, message("echo", MB, text="x"), chunked=chunked)
            assert status == 413
            assert "expected at most 1000000 bytes" in text
            status, text = await post(
                relay.client("large").url, message("echo", MB, text="fits"), chunked=chunked
            )
            assert status == 200
            assert "fits" in text
            assert len(await relay.client().call("huge", size=MB // 2)) == MB // 2
            assert "too large" in (await relay.client().failure("huge", size=MB))["message"]

    asyncio.run(scenario())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_request_waits_for_room_and_small_ones_pass(harness, chunked):
    async def scenario():
        server = harness.toy_server(message_limit=MB, timeout_s=harness.BOUND)
        async with harness.running(server) as relay:
            client = relay.client()
            await client.open()
            room = relay.relay._backends["toy"]._room
            held = [asyncio.create_task(post(client.url, message("hang", 900_000))) for _ in range(2)]
            await harness.until(lambda: room._used > 1_800_000)
            waiting = asyncio.create_task(
                post(client.url, message("echo", 900_000, text="me"), chunked=chunked)
            )
            for _ in range(5):
                assert await client.call("echo", text="small") == "small"
            assert not waiting.done()
            pid = int(await client.call("id"))
            await asyncio.create_task(client.failure("die"))  # the calls that hold the room fail
            for call in held:
                assert "ended during the call" in (await call)[1]
            status, text = await waiting
            assert (status, "me" in text) == (200, True)
            assert int(await client.call("id")) != pid
            assert room._used == 0

    asyncio.run(scenario())


def test_waiting_for_room_ends_with_the_servers_timeout(harness):
    async def scenario():
        async with harness.running(harness.toy_server(message_limit=MB, timeout_s=0.5)) as relay:
            await relay.up()
            room = relay.relay._backends["toy"]._room
            await room.take(2 * MB)
            status, text = await post(relay.client().url, message("echo", 900_000, text="x"))
            assert status == 503
            assert "is busy: 2000000 bytes of requests are under way" in text
            room.give_back(2 * MB)
            status, _ = await post(relay.client().url, message("echo", 900_000, text="x"))
            assert status == 200

    asyncio.run(scenario())


def test_a_sender_that_stops_half_way_is_turned_away(harness):
    async def scenario():
        async with harness.running(harness.toy_server(timeout_s=0.3)) as relay:
            address = httpx2.URL(relay.client().url)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(b"POST /mcp/toy HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 90000\r\n\r\n{")
            assert b" 408 " in await reader.readline()
            writer.close()
            assert relay.relay._backends["toy"]._room._used == 0

    asyncio.run(scenario())


def peak_of(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_many_large_requests_cost_bounded_memory(harness):
    """60 requests of 8 MB to a server that does not answer: 480 MB, of which 16 MB are let in."""

    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        options = ["--port", str(port), "--timeout", "3", "--message-limit", str(9 * MB)]
        words = ["-m", "shipway_runtime.relay", "toy", *options, "--", sys.executable, str(harness.TOY)]
        process = await asyncio.create_subprocess_exec(sys.executable, *words)
        try:
            url = f"http://127.0.0.1:{port}"
            async with httpx2.AsyncClient(trust_env=False, verify=False) as http:
                await answering(http, f"{url}/readyz")
            before, body = peak_of(process.pid), message("hang", 8 * MB)
            answers = await asyncio.gather(*(post(f"{url}/mcp", body) for _ in range(60)))
            assert {status for status, _ in answers} <= {200, 503}
            assert any("is busy" in text for _, text in answers)
            assert peak_of(process.pid) - before < 150 * MB
        finally:
            process.terminate()
            await process.wait()

    async def answering(http, url):
        async with asyncio.timeout(harness.BOUND):
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(url)).status_code == 200:
                        return
                await asyncio.sleep(0.02)

    asyncio.run(scenario())
