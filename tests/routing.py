"""Routers and revisions for tests: HAProxy and the embedded router, backends that answer as agents do."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
from tests.ports import free_port

from shipway.deploy.processes import routers
from shipway.rollout.traffic.split import Backend, Slot, Traffic
from shipway_runtime import contract

BOUND_S = 30.0
HEADER = contract.CONVERSATION_HEADER


HOST = "127.0.0.2"
"""Another address than the one that a router's configuration has before it is told where revisions are."""


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

        self._server = _Quiet((HOST, free_port()), Handler)
        self.backend = Backend(slot, HOST, self._server.server_port)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


class _Quiet(ThreadingHTTPServer):
    """Says nothing of clients that have gone, as those that check health do."""

    def handle_error(self, *_: object) -> None: ...


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
    port = free_port()
    with _router(port, lambda: routers.haproxy(program, "127.0.0.1", port, place)) as router:
        yield router


@contextlib.contextmanager
def embedded() -> Iterator[Router]:
    port = free_port()
    with _router(port, lambda: routers.embedded("127.0.0.1", port)) as router:
        yield router


@contextlib.contextmanager
def _router(port: int, make: Callable[[], AbstractContextManager[Traffic]]) -> Iterator[Router]:
    with contextlib.ExitStack() as now:

        def start() -> Traffic:
            now.close()
            return now.enter_context(make())

        router = Router(start(), port, start)
        with router.http:
            yield router
