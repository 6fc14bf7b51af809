"""How long a change of policy takes, by each way, until a turn is refused; and what the door costs a turn.

One process on loopback, that is asked again and again. Nothing is written while it is asked but the policy.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loopback import wait
from servers import Server, shipway
from table import Row, report

from shipway_runtime.contract import Limits, Policy
from shipway_runtime.policy.admission import Admission
from shipway_runtime.policy.merge import Effective, meet

KILLED, FREE = {"kill": {"all": True}}, {}
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - of this benchmark
CHANGES = 20
TURNS = 20_000

Change = Callable[[Server, dict], float]
"""Makes a change, and returns when it began to."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        rows = [*by_file(place), *by_control(place), *by_admin(place)]
    limits = Limits((10**9, 60), 50, (10**12, 86_400))
    rows += [
        Row("the door, for each turn, without limits", "us", asyncio.run(door(meet(Policy()))), ""),
        Row("with limits of each kind", "us", asyncio.run(door(meet(Policy(limits=limits)))), ""),
    ]
    report("policy", rows, "shipway-runtime")


def by_file(place: Path) -> list[Row]:
    file, new = place / "policy.json", place / "new.json"

    def change(server: Server, policy: dict) -> float:
        new.write_text(json.dumps(policy))
        began = time.perf_counter()
        new.replace(file)
        return began

    file.write_text("{}")
    return measured("a file is replaced", place, change, "<= 500 ms", SHIPWAY_POLICY=str(file))


def by_control(place: Path) -> list[Row]:
    with control() as answers:

        def change(server: Server, policy: dict) -> float:
            time.sleep(random.random())  # noqa: S311 - at any moment of the second between two questions
            answers.policy = policy
            return time.perf_counter()

        return measured("control has another one", place, change, "<= 1.5 s", SHIPWAY_CONTROL_URL=answers.url)


def by_admin(place: Path) -> list[Row]:
    def change(server: Server, policy: dict) -> float:
        began = time.perf_counter()
        ask(server.ready[0], "PUT", "/policy", {"policy": policy}, authorization=f"Bearer {TOKEN}")
        return began

    return measured("PUT /policy", place, change, "<= 20 ms", SHIPWAY_ADMIN_TOKEN=TOKEN)


def measured(what: str, place: Path, change: Change, target: str, **variables: str) -> list[Row]:
    """The time from before a change to the answer of the first turn that knows of it."""
    with environment(variables), shipway()(place) as server:
        wait(f"http://127.0.0.1:{server.ready[0]}{server.ready[1]}")
        taken = []
        for nth in range(CHANGES):
            policy, status = (KILLED, 503) if nth % 2 == 0 else (FREE, 200)
            began = change(server, policy)
            while ask(server.port, "POST", server.ask.path, server.ask.body("ping")) != status:
                pass
            taken.append((time.perf_counter() - began) * 1e3)
    return [
        Row(f"{what}, until turns know: median", "ms", statistics.median(taken), ""),
        Row(f"{what}, until turns know: the slowest of {CHANGES}", "ms", max(taken), target),
    ]


def ask(port: int, method: str, path: str, body: object, **headers: str) -> int:
    """The status of one request, on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, json.dumps(body), {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Variables that processes started meanwhile inherit."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Control(http.server.ThreadingHTTPServer):
    """Control, as far as policies go."""

    policy: dict = FREE
    daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Control

    def do_GET(self) -> None:
        body = json.dumps(self.server.policy).encode()
        etag = f'"{hash(body)}"'
        known = self.headers.get("if-none-match") == etag
        self.send_response(304 if known else 200)
        self.send_header("etag", etag)
        self.send_header("content-length", "0" if known else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if known else body)

    def do_POST(self) -> None:
        """Outcomes, which nobody wants here."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def control() -> Iterator[Control]:
    server = Control(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def door(policy: Effective) -> float:
    """Microseconds to let a turn in and out again."""
    admission = Admission(lambda: policy)
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(TURNS):
            await (await admission.enter("acme", None)).leave()
        taken.append((time.perf_counter() - began) / TURNS * 1e6)
    return statistics.median(taken)


main()
