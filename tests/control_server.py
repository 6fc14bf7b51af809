"""Control on loopback, in a thread: takes outcomes and gives a policy, and can fail in every way there is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shipway_runtime import contract

Answer = Callable[[list[bytes]], tuple[int, dict[str, str]]]


def kept(lines: list[bytes]) -> tuple[int, dict[str, str]]:
    return 204, {}


def fixed(status: int, **headers: str) -> Answer:
    return lambda lines: (status, {name.replace("_", "-"): value for name, value in headers.items()})


class ControlServer:
    """`answers` are given in turn, the last one for ever; lines count as kept when the answer is 2xx."""

    def __init__(self, *answers: Answer, port: int = 0) -> None:
        self.answers: list[Answer] = [*answers] or [kept]
        self.requests: list[tuple[str, dict[str, str], list[bytes]]] = []
        self.lines: list[bytes] = []
        self.reports: list[tuple[dict[str, list[str]], dict[str, str], bytes]] = []
        """Of each report of a replica its query, its headers and its body."""
        self.reports_status = 204
        self.policy: dict[str, Any] = {}
        self.policy_status = 200
        self.has_policy = True
        """Else nobody has put one there."""
        self.asked: list[tuple[dict[str, list[str]], dict[str, str], int]] = []
        """Of each question for the policy its query, its headers, and the status it got."""
        self.released = threading.Event()
        """Set at the end: an answer that waits for it hangs until then."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """The policy, which is not sent twice."""
                content = json.dumps(server.policy).encode()
                etag = server.etag
                url, known = urlsplit(self.path), self.headers.get("if-none-match") == etag
                self.close_connection = server.released.is_set()
                status = 304 if known and server.policy_status == 200 else server.policy_status
                status = 404 if self.close_connection or url.path != contract.CONTROL_POLICY else status
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.asked.append((parse_qs(url.query), headers, status))
                self.send_response(status)
                self.send_header("etag", etag)
                self.send_header("content-length", "0" if status == 304 else str(len(content)))
                self.end_headers()
                self.wfile.write(b"" if status == 304 else content)

            def do_POST(self) -> None:
                if server.released.is_set():  # closed, and this connection is left over
                    self.close_connection = True
                    return
                content = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if self.path.startswith(contract.REPLICAS_PATH):
                    server.reports.append((parse_qs(urlsplit(self.path).query), headers, content))
                    self.send_response(server.reports_status)
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                lines = content.splitlines()
                server.requests.append((self.path, headers, lines))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                status, more = answer(lines)
                if 200 <= status < 300:
                    server.lines += lines
                self.send_response(status)
                for name, value in {"content-length": "0", **more}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def etag(self) -> str:
        """Of the policy as it is now."""
        return f'"{hash(json.dumps(self.policy))}"' if self.has_policy else contract.NO_POLICY

    def hang(self, lines: list[bytes]) -> tuple[int, dict[str, str]]:
        self.released.wait()
        return 500, {}

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        """What was kept; one that came twice is there twice."""
        return [json.loads(line) for line in self.lines]

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
