"""How long a policy takes from the change to the first turn that it refuses, by each way there is.

In: a directory. Out: seconds. The agent is asked again and again meanwhile, by a client that does nothing
else; control is a small server that answers as the reference says.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import http.server
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loopback import free_port, wait
from processes import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OPEN, SHUT = {}, {"kill": {"all": True}}
TOKEN = "bench"  # noqa: S105 - of a process on loopback that ends with the benchmark
PATIENCE_S = 10.0
ASK = json.dumps({"input": "ping"})
JSON = {"content-type": "application/json"}


def by_file(place: Path) -> float:
    place = Path(tempfile.mkdtemp(dir=place))
    policy = place / "policy.json"
    _replace(policy, OPEN)
    with _agent(place, {"SHIPWAY_POLICY": str(policy)}) as (api, _):
        return _seconds(api, functools.partial(_replace, policy, SHUT))


def by_control(place: Path) -> float:
    place = Path(tempfile.mkdtemp(dir=place))
    with _control() as (url, say), _agent(place, {"SHIPWAY_CONTROL_URL": url}) as (api, _):
        return _seconds(api, functools.partial(say, SHUT))


def by_admin(place: Path) -> float:
    with _agent(Path(tempfile.mkdtemp(dir=place)), {}) as (api, admin):
        return _seconds(api, functools.partial(_put, admin))


def _seconds(api: int, change: Callable[[], None]) -> float:
    """From the beginning of the change to the beginning of the first turn that is refused."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", api)) as connection:
        if _ask(connection) != 200:
            raise SystemExit("the agent does not answer before the change")
        began = time.perf_counter()
        changing = threading.Thread(target=change)
        changing.start()
        while (asked := time.perf_counter()) < began + PATIENCE_S:
            if _ask(connection) == 503:
                changing.join()
                return asked - began
    raise SystemExit(f"the policy was not enforced within {PATIENCE_S:g} s")


def _ask(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/v1/responses", ASK, JSON)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _replace(policy: Path, document: Mapping[str, object]) -> None:
    new = policy.with_suffix(".new")
    new.write_text(json.dumps(document))
    new.replace(policy)


def _put(admin: int) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", admin)) as connection:
        body = json.dumps({"policy": SHUT, "for_s": 600, "by": "bench", "reason": "bench"})
        connection.request("PUT", "/policy", body, {"authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"PUT /policy: {answer.status} {said!r}")


@contextmanager
def _agent(place: Path, more: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    (place / "agent.py").write_text("async def agent(messages):\n    return 'pong'\n")
    (place / "shipway.json").write_text('{"name": "pong", "entrypoint": "agent:agent"}')
    api, admin = free_port(), free_port()
    environ = os.environ | more | {
        "SHIPWAY_ENV": "development",
        "SHIPWAY_HOST": "127.0.0.1",
        "SHIPWAY_MANIFEST": str(place / "shipway.json"),
        "SHIPWAY_SOURCE": str(place),
        "SHIPWAY_STORAGE": str(place / "data"),
        "SHIPWAY_DRAIN_DELAY": "0",
        "SHIPWAY_ADMIN_TOKEN": TOKEN,
        "SHIPWAY_API_PORT": str(api),
        "SHIPWAY_ADMIN_PORT": str(admin),
    }  # fmt: skip
    with running((sys.executable, "-m", "shipway_runtime"), environ, place):
        wait(f"http://127.0.0.1:{admin}/readyz")
        yield api, admin


@contextmanager
def _control() -> Iterator[tuple[str, Callable[[Mapping[str, object]], None]]]:
    """Control's address, and what makes it say another policy."""
    said = [json.dumps(OPEN).encode()]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body, tag = said[-1], f'"{len(said)}"'
            known = self.headers["if-none-match"] == tag
            self.send_response(304 if known else 200)
            self.send_header("etag", tag)
            self.send_header("content-length", "0" if known else str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if known else body)

        def do_POST(self) -> None:  # outcomes
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield (
                f"http://127.0.0.1:{server.server_port}",
                lambda policy: said.append(json.dumps(policy).encode()),
            )
        finally:
            server.shutdown()
