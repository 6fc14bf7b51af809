"""Stopping under load: clients of every kind, a rolling restart behind a balancer, and agents that resist."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.unit.runtime.conftest import Running, write_agent

pytestmark = pytest.mark.alone

AGENT = """
import asyncio

async def agent(messages):
    pieces, pause, width = map(float, messages[-1]["content"].split())
    for number in range(int(pieces)):
        yield f"<{number}>" * int(width)
        await asyncio.sleep(pause)
"""

Begin = Callable[..., Running]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start a runtime in a directory of its own; `ready` waits for it."""
    begun: list[Running] = []

    def begin(source: str = AGENT, *, grace_s: float = 30.0, delay_s: float = 0.0, **given: Any) -> Running:
        place = tmp_path / str(len(begun))
        env = {"SHIPWAY_DRAIN_DELAY": str(delay_s)} | given.pop("env", {})
        write_agent(place, source, {"settings": {"health": {"grace_s": grace_s}}} | given)
        begun.append(Running(place, env))
        return begun[-1]

    yield begin
    for running in begun:
        running.close()


# -- Under load --------------------------------------------------------------------------------------------


class Load:
    """Clients that ask until the port refuses them; `lost` is what neither came whole nor was refused."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answered, self.refused, self.told = 0, 0, 0
        self.lost: list[str] = []
        self.over = asyncio.Event()

    async def repeat(self, ask: Callable[[httpx2.AsyncClient], Any], *, pooled: bool) -> None:
        limits = httpx2.Limits() if pooled else httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(
            base_url=self.url, timeout=60, trust_env=False, limits=limits
        ) as client:
            while not self.over.is_set():
                try:
                    await ask(client)
                except httpx2.ConnectError:
                    self.over.set()  # the port is closed: nobody took this request
                except httpx2.TransportError as error:
                    self.lost.append(f"{ask.__name__}: {error!r}")

    async def whole(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/v1/responses", json={"input": "3 0.01 1"})
        self._note(response, response.status_code == 200 and "<2>" in response.text)

    async def stream(self, client: httpx2.AsyncClient) -> None:
        body = {"input": "20 0.02 1", "stream": True}
        async with client.stream("POST", "/v1/responses", json=body) as response:
            text = (await response.aread()).decode()
        self.told += ": shipway.drain" in text
        self._note(response, "event: response.completed" in text and "<19>" in text)

    def _note(self, response: httpx2.Response, good: bool) -> None:
        if response.status_code == 503 and "retry-after" in response.headers:
            self.refused += 1
        elif good:
            self.answered += 1
        else:
            self.lost.append(f"HTTP {response.status_code}: {response.text[-300:]}")


@contextlib.asynccontextmanager
async def under_load(url: str) -> AsyncIterator[Load]:
    load = Load(url)
    async with asyncio.TaskGroup() as clients:
        for ask in (load.whole, load.stream):
            for pooled in (True, False):
                for _ in range(4):
                    clients.create_task(load.repeat(ask, pooled=pooled))
        yield load


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def post(text: str, *headers: bytes, **more: Any) -> bytes:
    body = json.dumps({"input": text} | more).encode()
    given = (b"host: x", b"content-type: application/json", b"content-length: %d" % len(body), *headers)
    return b"\r\n".join([b"POST /v1/responses HTTP/1.1", *given, b"", body])


def read_slowly(port: int, begun: threading.Event) -> bytes:
    """A stream, read by somebody in no hurry."""
    text = bytearray()
    with socket.socket() as client:
        client.settimeout(30)
        client.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16
        )  # before it connects, or it has no effect
        client.connect(("127.0.0.1", port))
        client.sendall(post("400 0.001 500", b"connection: close", stream=True))
        while data := client.recv(2**14):
            text += data
            if not begun.is_set():
                begun.set()
                threading.Event().wait(1)
    return bytes(text)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_lost_under_load(begin: Begin, number: signal.Signals) -> None:
    running = begin(delay_s=0.5).wait_ready()

    async def scenario() -> tuple[Load, bytes]:
        slow_began = threading.Event()
        slow = asyncio.create_task(asyncio.to_thread(read_slowly, running.ports["API"], slow_began))
        async with under_load(f"http://127.0.0.1:{running.ports['API']}") as load:
            await until(lambda: load.answered > 30 and slow_began.is_set())
            running.process.send_signal(number)
        return load, await slow

    load, slow = asyncio.run(scenario())
    assert load.lost == []
    assert load.told >= 8, "every stream open at the signal is told"
    assert slow.endswith(b"0\r\n\r\n")
    assert b"event: response.completed" in slow
    assert running.exit_code() == 0
    assert {o["status"] for o in running.outcomes()} == {"ok"}
    assert "Traceback" not in running.log()


def test_who_does_not_read_holds_nothing_up(begin: Begin) -> None:
    running = begin(grace_s=0.5).wait_ready()
    with contextlib.ExitStack() as stack:
        for stream in (True, False):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
            client.connect(("127.0.0.1", running.ports["API"]))
            client.sendall(post("2000 0 5000", stream=stream))
        running.wait_for(lambda: [o["status"] for o in running.outcomes()] == ["ok"], "answer in one piece")
        running.terminate()
        assert running.exit_code() == 0
    assert "requests did not finish in time and are stopped" in running.log()
    assert "Traceback" not in running.log()


# -- A rolling restart -------------------------------------------------------------------------------------


class Balancer:
    """Connections to whichever backend was ready at the last look; one look in 50 ms."""

    def __init__(self) -> None:
        self.backends: dict[int, Running] = {}
        self._ready: list[Running] = []
        self._turn = 0
        self.open = 0

    async def look(self) -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            while True:
                self._ready = [b for b in list(self.backends.values()) if await self._is_ready(client, b)]
                await asyncio.sleep(0.05)

    async def _is_ready(self, client: httpx2.AsyncClient, backend: Running) -> bool:
        try:
            return (await client.get(f"http://127.0.0.1:{backend.ports['ADMIN']}/readyz")).status_code == 200
        except httpx2.TransportError:
            return False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        backend = self._ready[self._turn % len(self._ready)]
        back, forth = await asyncio.open_connection("127.0.0.1", backend.ports["API"])
        self.open += 1
        await asyncio.gather(_pump(reader, forth), _pump(back, writer))
        await asyncio.gather(forth.wait_closed(), writer.wait_closed(), return_exceptions=True)
        self.open -= 1


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


def test_a_rolling_restart_behind_a_balancer_loses_nothing(begin: Begin) -> None:
    async def scenario() -> Load:
        balancer = Balancer()
        balancer.backends = {n: begin(delay_s=0.5) for n in range(2)}
        for backend in balancer.backends.values():
            await asyncio.to_thread(backend.wait_ready)
        looking = asyncio.create_task(balancer.look())
        server = await asyncio.start_server(balancer.connected, "127.0.0.1", 0)
        await until(lambda: len(balancer._ready) == 2)
        async with under_load(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as load:
            for n in balancer.backends:
                before = load.answered
                await until(lambda before=before: load.answered > before + 20)
                balancer.backends[n].terminate()
                assert await asyncio.to_thread(balancer.backends[n].exit_code) == 0
                balancer.backends[n] = begin(delay_s=0.5)
                await asyncio.to_thread(balancer.backends[n].wait_ready)
                await until(lambda: len(balancer._ready) == 2)
            load.over.set()
        looking.cancel()
        server.close()
        await until(lambda: not balancer.open)
        return load

    load = asyncio.run(scenario())
    assert (load.lost, load.refused) == ([], 0)
    assert load.answered > 40


# -- The moment at which the port closes ---------------------------------------------------------------------

BLOCKING = """
import time, pathlib

async def agent(messages):
    if messages[-1]["content"] == "block":
        pathlib.Path(__file__).with_name("blocked").touch()
        while not pathlib.Path(__file__).with_name("go").exists():
            time.sleep(0.01)
    return "here"
"""


def statuses(clients: list[socket.socket]) -> list[int]:
    return [status(client) for client in clients]


def status(client: socket.socket) -> int:
    response = http.client.HTTPResponse(client)
    response.begin()
    response.read()
    return response.status


def test_who_waits_in_the_ports_queue_and_on_open_connections_is_answered(begin: Begin) -> None:
    """While the loop is blocked nobody is accepted, read or closed; then everything happens at once."""
    running = begin(BLOCKING).wait_ready()

    def connect() -> socket.socket:
        return stack.enter_context(socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20))

    with contextlib.ExitStack() as stack:
        idle = connect()
        idle.sendall(post("hi"))
        assert statuses([idle]) == [200]
        blocker = connect()
        blocker.sendall(post("block"))
        running.wait_for((running.place / "blocked").exists, "block")
        queued = [connect() for _ in range(20)]
        for client in [idle, *queued]:
            client.sendall(post("hi"))
        running.terminate()
        (running.place / "go").touch()
        assert statuses([blocker]) == [200]
        assert set(statuses([idle, *queued])) <= {200, 503}
    assert running.exit_code() == 0


def test_a_request_of_which_half_a_head_has_come_is_answered(begin: Begin) -> None:
    running = begin().wait_ready()
    with socket.create_connection(("127.0.0.1", running.ports["API"]), timeout=20) as client:
        text = post("1 0 1")
        client.sendall(text[:20])
        running.wait_for(lambda: running.api.get("/ping").status_code == 200, "loop")
        running.terminate()
        running.wait_for(lambda: "draining" in running.log(), "drain")
        running.wait_for(lambda: refuses(running.ports["API"]), "closed port")
        client.sendall(text[20:])
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close" in answer
    assert running.exit_code() == 0


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except OSError:
        return True
    return False


# -- Before anything is served -------------------------------------------------------------------------------

HANGING_START = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("starting", flush=True)
        await asyncio.sleep(600)
"""

HANGING_FACTORY = """
import asyncio

async def make():
    print("starting", flush=True)
    await asyncio.sleep(600)
"""


@pytest.mark.parametrize(
    ("source", "entrypoint"), [(HANGING_START, "agent:app"), (HANGING_FACTORY, "agent:make()")]
)
def test_a_start_that_hangs_can_be_ended(begin: Begin, source: str, entrypoint: str) -> None:
    running = begin(source, entrypoint=entrypoint)
    running.wait_for(lambda: "starting" in running.stdout.read_text(), "start")
    running.terminate()
    running.terminate()
    assert running.exit_code() == 0


@pytest.mark.parametrize("moment", ["admin", "at once"])
def test_a_signal_while_the_relay_starts(begin: Begin, moment: str) -> None:
    server = {"name": "toy", "shape": "inside", "command": ["sleep", "600"]}
    running = begin(mcp=[server])
    if moment == "admin":
        running.wait_for(lambda: running.get_admin("/healthz") == 200, "health")
    running.terminate()
    assert running.exit_code() in (0, -signal.SIGTERM)  # the interpreter itself has not begun
    if moment == "admin":
        assert running.exit_code() == 0


# -- Agents that resist --------------------------------------------------------------------------------------

STUBBORN = {
    "ignores its cancellation": """
import asyncio
async def agent(messages):
    while True:
        try:
            yield "<0>"
            await asyncio.sleep(600)
        except BaseException:
            pass
""",
    "a task that does not end": """
import asyncio
async def forever():
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass
tasks = []
async def agent(messages):
    tasks.append(asyncio.create_task(forever()))
    yield "<0>"
    await asyncio.sleep(0)
""",
    "a thread that is no daemon": """
import threading, time
async def agent(messages):
    threading.Thread(target=time.sleep, args=(600,)).start()
    yield "<0>"
""",
    "a thread of the default executor": """
import asyncio, time
async def agent(messages):
    yield "<0>"
    await asyncio.to_thread(time.sleep, 600)
""",
    "a hook that hangs": """
import atexit, time
atexit.register(time.sleep, 600)
async def agent(messages):
    yield "<0>"
    print('{"flushed": true}')
""",
}

BLOCKED = """
import time
async def agent(messages):
    yield "<0>"
    time.sleep(600)
"""

BLOCKED_NATIVELY = """
import ctypes
async def agent(messages):
    yield "<0>"
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)  # which no signal interrupts
"""

HANGING_END = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(600)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"<0>"})
"""


def ask_and_terminate(running: Running) -> None:
    with (
        contextlib.suppress(httpx2.TransportError),
        running.api.stream("POST", "/v1/responses", json={"input": "x", "stream": True}) as response,
    ):
        for chunk in response.iter_text():
            if "<0>" in chunk:
                running.terminate()


def test_an_end_that_somebody_holds_up_is_bounded(begin: Begin) -> None:
    """All at once, each in its process: most take the seconds that they are given."""
    cases = {name: begin(source, grace_s=0.2) for name, source in STUBBORN.items()}
    cases["the application's own end"] = begin(HANGING_END, grace_s=0.2, entrypoint="agent:app")
    cases["blocked"] = begin(BLOCKED, grace_s=0.2)
    cases["blocked natively"] = begin(BLOCKED_NATIVELY, grace_s=0.2)
    for running in cases.values():
        running.wait_ready()
    asking = [threading.Thread(target=ask_and_terminate, args=(r,)) for r in cases.values()]
    for thread in asking:
        thread.start()
    codes = {name: running.process.wait(40) for name, running in cases.items()}
    for thread in asking:
        thread.join()
    assert codes == dict.fromkeys(cases, 0) | {"blocked": 1, "blocked natively": 1}
    assert "the main thread is at" in cases["blocked"].log()
    assert "has been blocked" not in cases["blocked"].log(), "on the way out a stall is no news"
    assert "agent.py:5" in cases["blocked"].log()
    assert "agent.py:7" in cases["blocked natively"].log()
    assert "took more than 5 s; left behind" in cases["the application's own end"].log()
    assert {"flushed": True} in cases["a hook that hangs"].outcomes(), "what was printed is not lost"
