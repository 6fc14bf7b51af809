"""httpx2, watched: what of a model's answers is told, and what a client raises. Other clients and the SDKs on
top of them are in tests/engines/test_model_streams.py."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.loops import on_a_loop
from tests.model_streams import APIS, ModelServer

from shipway_runtime.health.faults import Fault, find_fault
from shipway_runtime.model import clients
from shipway_runtime.model.watching import Watch

PATH = "/v1/messages"
SHORT = Fault("ended a stream without message_stop")
EVENTS = len(APIS["anthropic"]())


@pytest.fixture
def server() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture
def watch(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A watch on httpx2, for one test."""
    return watched(server, monkeypatch, None)


def watched(server: ModelServer, monkeypatch: pytest.MonkeyPatch, real: str | None) -> Watch:
    for kind, name in (
        (httpx2.Client, "send"),
        (httpx2.AsyncClient, "send"),
        (httpx2.Response, "iter_bytes"),
        (httpx2.Response, "aiter_bytes"),
    ):
        monkeypatch.setattr(kind, name, getattr(kind, name))  # put back at the end
    watch = Watch(None, {"ANTHROPIC_BASE_URL": server.url}, real)
    clients.CLIENTS["httpx2"](httpx2, watch)
    return watch


def counted(watch: Watch) -> dict[str, int]:
    return {outcome: count for (_, outcome), count in watch.requests.items()}


def stream(url: str, path: str = PATH) -> bytes:
    with httpx2.Client(trust_env=False) as client, client.stream("POST", url + path, json={}) as response:
        return b"".join(response.iter_bytes())


def test_a_whole_stream(server: ModelServer, watch: Watch) -> None:
    assert stream(server.url) == b"".join(APIS["anthropic"]())
    assert counted(watch) == {"ok": 1}
    assert sum(watch.first_piece.counts) == 1


@pytest.mark.parametrize("end", [0, 1, 4, EVENTS - 1])
def test_one_that_ends_early_raises_what_a_cut_connection_does(
    server: ModelServer, watch: Watch, end: int
) -> None:
    server.end = end
    with pytest.raises(httpx2.RemoteProtocolError, match="ended a stream without message_stop") as caught:
        stream(server.url)
    assert caught.value.request.url.path == PATH
    assert find_fault(caught.value, "") == SHORT
    assert counted(watch) == {"unfinished": 1}


@pytest.mark.parametrize("read", ["aiter_bytes", "aiter_lines", "aiter_text", "aread"])
@on_a_loop
async def test_every_way_to_read(server: ModelServer, watch: Watch, read: str) -> None:
    async def through() -> None:
        async with (
            httpx2.AsyncClient(trust_env=False) as client,
            client.stream("POST", server.url + PATH) as response,
        ):
            reading = getattr(response, read)()
            if read == "aread":
                await reading
            else:
                async for _ in reading:
                    pass

    await through()
    server.end = 4
    with pytest.raises(httpx2.RemoteProtocolError):
        await through()
    assert counted(watch) == {"ok": 1, "unfinished": 1}


def test_a_body_that_was_not_asked_for_as_a_stream(server: ModelServer, watch: Watch) -> None:
    server.end = 4
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.post(server.url + PATH, trust_env=False)


def test_a_stream_that_is_compressed(server: ModelServer, watch: Watch) -> None:
    server.zipped = True
    assert stream(server.url) == b"".join(APIS["anthropic"]())
    server.end = 4
    with pytest.raises(httpx2.RemoteProtocolError):
        stream(server.url)


def test_an_error_that_nobody_looked_at(server: ModelServer, watch: Watch) -> None:
    server.body = b"".join(APIS["responses"]()[:5]) + b'event: error\ndata: {"type":"error"}\n\n'
    with pytest.raises(httpx2.RemoteProtocolError, match="ended a stream with error"):
        stream(server.url, "/v1/responses")
    assert counted(watch) == {"failed": 1}


def test_who_stops_reading_is_not_told(server: ModelServer, watch: Watch) -> None:
    server.end = 4
    with httpx2.Client(trust_env=False) as client, client.stream("POST", server.url + PATH) as response:
        for _ in response.iter_bytes():
            break
    gc.collect()
    assert counted(watch) == {"left": 1}


@on_a_loop
async def test_who_is_cancelled_is_not_told_either(server: ModelServer, watch: Watch) -> None:
    server.end = 4
    begun = asyncio.Event()

    async def read() -> None:
        async with (
            httpx2.AsyncClient(trust_env=False) as client,
            client.stream("POST", server.url + PATH) as response,
        ):
            async for _ in response.aiter_bytes():
                begun.set()
                await asyncio.sleep(60)

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
    await asyncio.sleep(0)
    assert counted(watch) == {"left": 1}


def test_connections_are_used_again(server: ModelServer, watch: Watch) -> None:
    with httpx2.Client(trust_env=False) as client:
        for end in (None, 4, None, 2, None):
            server.end = end
            with client.stream("POST", server.url + PATH) as response:
                try:
                    response.read()
                except httpx2.RemoteProtocolError:
                    assert end is not None
    assert (server.requests, server.connections) == (5, 1)


def test_other_hosts_are_left_alone(server: ModelServer, watch: Watch) -> None:
    server.end = 4
    assert stream(server.url.replace("127.0.0.1", "localhost"))
    assert counted(watch) == {}


def test_statuses_and_broken_connections_are_counted(server: ModelServer, watch: Watch) -> None:
    told: list[Fault | None] = []
    watch.listen(told.append)
    for status in (529, 401, 400):
        server.status = status
        httpx2.post(server.url + PATH, trust_env=False)
    url = server.url
    server.close()
    with pytest.raises(httpx2.ConnectError) as caught:
        httpx2.post(url + PATH, trust_env=False)
    reason = "cannot be reached (ConnectError: Connection refused)"
    assert find_fault(caught.value, "elsewhere").reason == reason, "it is known where it went"
    assert counted(watch) == {"529": 1, "401": 1, "400": 1, "broken": 1}
    refused = "refuses the key that the agent gives (HTTP 401)"
    assert [fault and fault.reason for fault in told] == ["HTTP 529", refused, None, reason]


def test_a_replay_is_refused_where_answers_must_be_real(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watched(server, monkeypatch, "prod")
    told: list[Fault | None] = []
    watch.listen(told.append)
    server.headers = {"x-shipway-replay": "a.json"}
    with pytest.raises(httpx2.RemoteProtocolError, match='replays a model, and this is "prod"') as caught:
        stream(server.url)
    assert find_fault(caught.value, "").certain
    assert told == [find_fault(caught.value, "")]
    assert counted(watch) == {"replay": 1}


def test_a_replay_is_welcome_in_development(server: ModelServer, watch: Watch) -> None:
    server.headers = {"x-shipway-replay": "a.json"}
    assert stream(server.url)


LATER = """
import sys
from shipway_runtime.model import clients
from shipway_runtime.model.watching import Watch
assert "httpx2" not in sys.modules, "the runtime does not import it for this"
clients.install(Watch(None, {}, None))
assert "httpx2" not in sys.modules, "nor does watching"
import httpx2
assert httpx2.Client.send.__wrapped__, "it is changed once it is imported"
"""


def test_what_is_imported_later_is_watched_from_then_on() -> None:
    done = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


UNREACHABLE = """
import socket
from shipway_runtime.model.unreachable import refuse_providers
refuse_providers("http://127.0.0.1:8090")
for host in ("api.openai.com", "API.Anthropic.com.", b"eu-aiplatform.googleapis.com", "api.openai.com"):
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        print(error)
print(len(socket.getaddrinfo("localhost", 80)) > 0)
"""


def test_providers_are_out_of_reach(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", UNREACHABLE], capture_output=True, text=True, check=False)
    openai, anthropic, vertex, again, localhost = done.stdout.splitlines()
    assert openai == again
    assert openai == (
        "api.openai.com is not reachable in development: the model is replayed. Use the base URL in "
        "OPENAI_BASE_URL, or run `shipway up --live` (or --record)"
    )
    assert "ANTHROPIC_BASE_URL" in anthropic
    assert "the replay's address, http://127.0.0.1:8090" in vertex
    assert localhost == "True"
    assert done.stderr.count("api.openai.com") == 1, "it is said once"
