from __future__ import annotations

import json
import socket
import time

import httpx2
import pytest

from shipway_runtime.drain import Drain, Leave

COUNTING = """
import asyncio

async def agent(messages):
    if messages[-1]["content"] == "hi":
        yield "hello"
        return
    for number in range(10):
        yield f"<{number}>"
        await asyncio.sleep(0.1)
"""

ENDLESS = """
import asyncio, itertools

async def agent(messages):
    for number in itertools.count():
        yield f"<{number}>"
        await asyncio.sleep(0.05)
"""


def read_while(running, act, **body):
    """The text of a stream; `act` is called once the first piece is there."""
    text = ""
    with running.api.stream("POST", "/v1/responses", json={"input": "x", "stream": True} | body) as response:
        for chunk in response.iter_text():
            if "<0>" in chunk:
                act()
            text += chunk
    return text


def test_a_stream_in_flight_finishes_whole_and_is_told(start):
    running = start(COUNTING)
    text = read_while(running, running.terminate)
    assert running.exit_code() == 0
    assert "event: response.completed" in text
    assert all(f"<{number}>" in text for number in range(10))
    assert "\n\n: shipway.drain\n\n" in text


def test_an_endless_stream_is_ended_within_grace(start):
    running = start(ENDLESS, settings={"health": {"grace_s": 0.5}})
    text = read_while(running, running.terminate)
    assert running.exit_code() == 0
    last = text.strip().split("\n\n")[-1]
    assert last.startswith("event: response.failed\n")
    assert json.loads(last.partition("data: ")[2])["response"]["error"]["type"] == "shutting_down"
    assert [o["status"] for o in running.outcomes()] == ["cancelled"]


def test_a_second_signal_hastens(start):
    running = start(ENDLESS, env={"SHIPWAY_DRAIN_DELAY": "600"}, settings={"health": {"grace_s": 600.0}})

    def terminate_twice() -> None:
        running.terminate()
        running.wait_for(lambda: "draining" in running.log(), "drain")
        running.terminate()

    assert "response.failed" in read_while(running, terminate_twice)
    assert running.exit_code() == 0


def test_the_port_goes_on_accepting_while_readiness_fails(start):
    running = start(COUNTING, env={"SHIPWAY_DRAIN_DELAY": "600"}, settings={"health": {"grace_s": 600.0}})
    running.terminate()
    running.wait_for(lambda: running.get_admin("/readyz") == 503, "unreadiness")
    assert running.admin.get("/readyz").json()["checks"]["draining"] == {"state": "yes"}
    running.wait_for(lambda: "draining" in running.log(), "drain")
    response = running.ask("hi")
    assert response.status_code == 200
    assert response.headers["connection"] == "close"
    assert running.get_admin("/healthz") == 200
    running.terminate()
    assert running.exit_code() == 0


def test_a_turn_that_comes_too_late_is_a_503(start):
    running = start(COUNTING)
    body = json.dumps({"input": "hi"}).encode()
    with socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20) as client:
        client.sendall(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n{" % len(body))
        time.sleep(0.1)  # the request is with the application, which waits for its body
        running.terminate()
        running.wait_for(lambda: not _accepts(running.ports["API"]), "closed port")
        client.sendall(body[1:])
        answer = client.recv(65536).decode().lower()
    assert answer.startswith("http/1.1 503")
    assert "retry-after: 1" in answer
    assert running.exit_code() == 0


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except OSError:
        return False
    return True


def test_an_endless_response_of_the_users_own_application_is_cut(start):
    source = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"<0>", "more_body": True})
        await asyncio.sleep(0.05)
"""
    running = start(source, entrypoint="agent:app", settings={"health": {"grace_s": 0.2}})
    with running.api.stream("GET", "/") as response:
        chunks = response.iter_raw()
        next(chunks)
        running.terminate()
        with pytest.raises(httpx2.TransportError):
            list(chunks)
    assert running.exit_code() == 0


def test_a_signal_before_anything_is_served_leaves():
    drain = Drain(delay_s=1, grace_s=1)
    with pytest.raises(Leave):
        drain.on_signal(15, None)


@pytest.mark.parametrize("after", ["", "time.sleep(60)"], ids=["the import goes on", "the import hangs"])
def test_a_signal_that_the_import_catches_is_not_lost(start, after):
    source = f"""
import time
print("importing", flush=True)
try:
    time.sleep(60)
except BaseException:
    pass
{after}
async def agent(messages): return "x"
"""
    running = start(source, ready=False)
    running.wait_for(lambda: "importing" in running.stdout.read_text(), "import")
    running.terminate()
    assert running.exit_code() == 0


def test_what_was_caught_on_the_way_leaves_before_serving():
    drain = Drain(delay_s=1, grace_s=1)
    with pytest.raises(Leave):
        drain.on_signal(15, None)
    assert drain.early
    with pytest.raises(Leave):
        drain.serving()


def test_the_delay_is_part_of_the_grace():
    drain = Drain(delay_s=5, grace_s=1)
    assert drain.delay_s == 1


def test_overdue_after_the_grace_or_the_second_signal():
    drain = Drain(delay_s=0, grace_s=60)
    drain.serving()
    assert not drain.overdue(0)
    drain.on_signal(15, None)
    assert (drain.draining, drain.overdue(0), drain.remaining() > 50) == (True, False, True)
    drain.on_signal(15, None)
    assert (drain.overdue(0), drain.overdue(5), drain.remaining()) == (True, False, 0.0)


def test_a_signal_that_was_heard_first_counts_once():
    drain = Drain(delay_s=0, grace_s=60)
    drain.serving()
    drain.heard()
    assert (drain.draining, drain.hastened) == (True, None)
    drain.on_signal(15, None)
    assert drain.hastened is None, "the handler of the same signal, at last"
    drain.on_signal(15, None)
    assert drain.hastened is not None


def test_a_signal_that_was_heard_during_the_import_leaves():
    drain = Drain(delay_s=0, grace_s=60)
    drain.heard()
    assert drain.early
    with pytest.raises(Leave):
        drain.on_signal(15, None)
    drain.on_signal(15, None)
