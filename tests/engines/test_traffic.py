"""Both routers by the same suite: HAProxy, and the embedded one. Real requests to real backends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from tests.ports import free_port

from shipway.errors import RolloutError
from shipway.rollout.traffic.embedded import Embedded
from shipway.rollout.traffic.haproxy import HAProxy
from shipway.rollout.traffic.haproxy_config import Place, config
from shipway.rollout.traffic.split import BODY_LIMIT, Backend, Slot, Split, Traffic
from shipway_runtime import contract

BOUND_S = 30.0
HEADER = contract.CONVERSATION_HEADER


class Revision:
    """A backend that answers as an agent does: it says who it is, and gives a conversation its id."""

    def __init__(self, slot: Slot) -> None:
        self.slot: Slot = slot
        self.ready = True
        self.go_on = threading.Event()
        minted = itertools.count()
        revision = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(200 if revision.ready else 503, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                given = self.headers.get(HEADER)
                conversation = given or f"{slot}{next(minted)}"
                if self.path == "/stream":
                    return self._stream()
                return self._answer(200, {"slot": slot, "bytes": len(body)}, conversation)

            def _answer(self, status: int, document: dict[str, Any], conversation: str = "") -> None:
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                if conversation:
                    self.send_header(HEADER, conversation)
                self.end_headers()
                self.wfile.write(text)

            def _stream(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(b"data: first\n\n")
                revision.go_on.wait(BOUND_S)
                self.wfile.write(b"data: last\n\n")
                self.close_connection = True

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.backend = Backend(slot, "127.0.0.1", self._server.server_port)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


class Router:
    """A router under test: where users reach it, and how a controller does."""

    def __init__(self, traffic: Traffic, port: int, restart: Callable[[], Traffic]) -> None:
        self.traffic, self._restart = traffic, restart
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=BOUND_S, trust_env=False)

    def ask(
        self, path: str = "/v1/responses", conversation: str | None = None, **body: object
    ) -> httpx2.Response:
        headers = {HEADER: conversation} if conversation else {}
        return self.http.post(path, json={"input": "hello"} | body, headers=headers)

    def slot(self, conversation: str | None = None, **body: object) -> str:
        answer = self.ask(conversation=conversation, **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["slot"])

    def until_ready(self, *slots: Slot) -> None:
        until(lambda: all(self.traffic.served()[slot].ready for slot in slots))

    def restart(self) -> None:
        """End it as a crash would, and start it anew: it has forgotten everything."""
        self.traffic = self._restart()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < end, "it never came to it"
        time.sleep(0.05)


@contextlib.contextmanager
def haproxy(program: str, place: Path) -> Iterator[Router]:
    port, path, file = free_port(), str(place / "haproxy.sock"), place / "haproxy.cfg"
    file.write_text(config(Place("127.0.0.1", port, path)), encoding="utf-8")
    running: list[subprocess.Popen[bytes]] = []

    def start() -> Traffic:
        while running:
            running[-1].kill()
            running.pop().wait()
        Path(path).unlink(missing_ok=True)
        running.append(subprocess.Popen((program, "-db", "-f", file), stdout=subprocess.DEVNULL))
        until(lambda: Path(path).exists() and _listens(port))
        return HAProxy(path)

    router = Router(start(), port, start)
    try:
        yield router
    finally:
        router.http.close()
        running[-1].kill()
        running[-1].wait()


@contextlib.contextmanager
def embedded() -> Iterator[Router]:
    port = free_port()
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    async def serve(server: uvicorn.Server, app: Embedded) -> None:
        checks = asyncio.create_task(app.check())
        await server.serve()
        checks.cancel()
        await app.close()

    def start() -> Traffic:
        end()
        app = Embedded()
        server = uvicorn.Server(
            uvicorn.Config(app, port=port, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=asyncio.run, args=(serve(server, app),))
        thread.start()
        running.append((server, thread))
        until(lambda: _listens(port))
        return app

    def end() -> None:
        while running:
            server, thread = running.pop()
            server.should_exit = True
            thread.join(BOUND_S)

    router = Router(start(), port, start)
    try:
        yield router
    finally:
        router.http.close()
        end()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=["haproxy", "embedded"])
def router(request: pytest.FixtureRequest, tmp_path: Path, engine: Callable[[str], str]) -> Iterator[Router]:
    made = haproxy(engine("haproxy"), tmp_path) if request.param == "haproxy" else embedded()
    with made as running:
        yield running


@pytest.fixture
def revisions() -> Iterator[dict[Slot, Revision]]:
    made: dict[Slot, Revision] = {"a": Revision("a"), "b": Revision("b")}
    yield made
    for revision in made.values():
        revision.end()


def split(revisions: dict[Slot, Revision], weight: int, stay: bool = True) -> Split:
    return Split(revisions["a"].backend, revisions["b"].backend, weight, stay)


def test_new_conversations_go_by_weight(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 25))
    router.until_ready("a", "b")
    went = Counter(router.slot(f"c{number}") for number in range(40))
    assert went == {"a": 30, "b": 10}


def test_a_conversation_stays_while_weights_change(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 5))
    router.until_ready("a", "b")
    first = {f"c{number}": router.slot(f"c{number}") for number in range(40)}
    assert Counter(first.values())["b"] == 2
    for weight in (25, 60, 100, 0):
        router.traffic.apply(split(revisions, weight))
        assert {conversation: router.slot(conversation) for conversation in first} == first
    assert router.traffic.pins() == first


def test_everybody_moves_at_once(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    conversations = [f"c{number}" for number in range(20)]
    assert {router.slot(conversation) for conversation in conversations} == {"a", "b"}
    router.traffic.apply(split(revisions, 0, stay=False))
    assert {router.slot(conversation) for conversation in conversations} == {"a"}


@pytest.mark.parametrize("known_by", ["header", "previous_response_id", "conversation", "conversation.id"])
def test_a_conversation_whose_id_the_agent_made_up_stays_too(
    router: Router, revisions: dict[Slot, Revision], known_by: str
) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    for _ in range(10):
        answer = router.ask()
        conversation, slot = answer.headers[HEADER], answer.json()["slot"]
        for turn in range(1, 4):
            again = {
                "header": {"conversation": conversation},
                "previous_response_id": {"previous_response_id": contract.response_id(conversation, turn)},
            }.get(known_by)
            if again is None:
                named = conversation if known_by == "conversation" else {"id": conversation}
                body = {"input": "more", "conversation": named}
                assert router.http.post("/v1/responses", json=body).json()["slot"] == slot
            else:
                assert router.slot(**again) == slot  # type: ignore[arg-type]


def test_a_body_that_is_too_large_to_look_into_is_passed_on(
    router: Router, revisions: dict[Slot, Revision]
) -> None:
    """As a conversation of its own, unless the header names it."""
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    slot = router.slot("known")
    large = "x" * (3 * BODY_LIMIT)
    assert router.ask(filler=large).json()["bytes"] > 3 * BODY_LIMIT
    assert {router.slot("known", filler=large) for _ in range(6)} == {slot}


def test_names_that_are_no_conversation_do_no_harm(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    hostile = {"previous_response_id": "resp_; show stat", "conversation": {"id": ["x"]}}
    assert router.http.post("/v1/responses", json=hostile).status_code == 200
    assert router.http.post("/v1/responses", content=b'["previous_response_id"').status_code == 200
    assert router.http.post("/v1/responses", content=b"").status_code == 200
    router.traffic.pin({"x; set server agent/a state maint": "a"})
    assert router.slot() in "ab"


def test_a_revision_that_is_not_ready_gets_nobody(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    pinned = [f"c{number}" for number in range(10)]
    assert {router.slot(conversation) for conversation in pinned} == {"a", "b"}
    revisions["b"].ready = False
    until(lambda: not router.traffic.served()["b"].ready)
    assert {router.slot(conversation) for conversation in pinned} == {"a"}
    revisions["a"].ready = False
    until(lambda: not router.traffic.served()["a"].ready)
    refused = router.ask()
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["code"] == "unavailable"
    revisions["a"].ready = True
    router.until_ready("a")
    assert router.slot() == "a"


def test_a_restart_is_mended_by_saying_everything_again(
    router: Router, revisions: dict[Slot, Revision]
) -> None:
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    before = {f"c{number}": router.slot(f"c{number}") for number in range(40)}
    kept = router.traffic.pins()
    assert kept == before
    router.restart()
    router.traffic.pin(kept)
    router.traffic.apply(split(revisions, 50))
    router.until_ready("a", "b")
    assert {conversation: router.slot(conversation) for conversation in before} == before


def test_what_is_known_is_not_pinned_over(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(split(revisions, 0))
    router.until_ready("a", "b")
    assert router.slot("known") == "a"
    router.traffic.pin({"known": "b", "forgotten": "b"})
    assert (router.slot("known"), router.slot("forgotten")) == ("a", "b")


def test_an_answer_comes_as_it_is_written(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(Split(revisions["a"].backend))
    router.until_ready("a")
    with router.http.stream("POST", "/stream", json={}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"  # the backend has not written the last one
        assert router.traffic.served()["a"].active == 1
        revisions["a"].go_on.set()
        assert [line for line in lines if line] == ["data: last"]
    until(lambda: router.traffic.served()["a"].active == 0)


def test_a_stream_goes_on_while_its_revision_loses_its_users(
    router: Router, revisions: dict[Slot, Revision]
) -> None:
    router.traffic.apply(split(revisions, 100))
    router.until_ready("a", "b")
    with router.http.stream("POST", "/stream", json={}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        router.traffic.apply(split(revisions, 0, stay=False))
        assert router.slot("new") == "a"
        revisions["b"].go_on.set()
        assert [line for line in lines if line] == ["data: last"]


def test_one_revision_follows_another_in_a_slot(router: Router, revisions: dict[Slot, Revision]) -> None:
    router.traffic.apply(Split(revisions["a"].backend))
    router.until_ready("a")
    assert router.slot("c") == "a"
    other = Revision("b")
    try:
        router.traffic.apply(Split(other.backend, revisions["a"].backend, 0, stay=False))
        router.until_ready("b")
        assert router.slot("c") == "b"
    finally:
        other.end()


def test_a_socket_that_is_not_there_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=r"HAProxy does not answer at .*nothing\.sock"):
        HAProxy(str(tmp_path / "nothing.sock")).served()
