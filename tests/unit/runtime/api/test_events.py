from __future__ import annotations

import asyncio

from shipway_runtime.api.events import DRAIN_NOTICE, KEEP_ALIVE, EventStream, encode_event


def test_a_stream_on_which_nothing_comes_is_kept_alive():
    sent = []
    alive = asyncio.Event()

    async def send(message):
        sent.append(message.get("body"))
        if sent.count(KEEP_ALIVE) == 2:
            alive.set()

    async def main():
        stream = EventStream(send, keep_alive_s=0.001)
        async with stream.running({}):
            await stream.comment(DRAIN_NOTICE)
            await asyncio.wait_for(alive.wait(), 10)
        count = len(sent)
        await stream.comment(DRAIN_NOTICE)
        await asyncio.sleep(0.01)
        assert len(sent) == count, "nothing comes after the end"

    asyncio.run(main())
    assert sent[1] == DRAIN_NOTICE


def test_a_comment_does_not_wait_in_line_for_a_client_that_does_not_read():
    started = 0

    async def main():
        blocked = asyncio.Event()

        async def send(message):
            nonlocal started
            started += message["type"] == "http.response.body"
            if message["type"] == "http.response.body":
                await blocked.wait()

        stream = EventStream(send, keep_alive_s=0.001)
        async with stream.running({}):
            await asyncio.sleep(0.05)
            assert started == 1, "one comment at a time"
            blocked.set()

    asyncio.run(main())


def test_an_event_is_two_lines_of_utf8():
    assert encode_event({"a": "ü\n"}, "x") == 'event: x\ndata: {"a":"ü\\n"}\n\n'.encode()
    assert encode_event("half \ud800") == b'data: "half ?"\n\n'
