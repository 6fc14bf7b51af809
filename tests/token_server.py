"""A token endpoint on loopback, in a thread: for tests of one exchange, of a process and of a whole stack."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class TokenServer:
    """A token endpoint on loopback. `answers` are given in turn, the last one for ever.

    An answer is a function of the form and the headers that gives status, headers and body.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], dict[str, str]]] = []  # (form, headers)
        self.targets: list[str] = []
        self.answers: list[Callable[..., tuple[int, dict[str, str], bytes]]] = [self.numbered(3600)]
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.targets.append(self.path)
                server.requests.append((form, headers))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                status, more, content = answer(form, headers)
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/token"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self._thread.start()

    def numbered(self, life_s: object) -> Callable[..., tuple[int, dict[str, str], bytes]]:
        """An answer with the token `token-N`, for the Nth request."""

        def answer(*_: object) -> tuple[int, dict[str, str], bytes]:
            given = {"access_token": f"token-{len(self.requests)}", "token_type": "Bearer"}
            return 200, {}, json.dumps(given | ({} if life_s is None else {"expires_in": life_s})).encode()

        return answer

    @staticmethod
    def fixed(status: int, body: object, **headers: str) -> Callable[..., tuple[int, dict[str, str], bytes]]:
        """An answer that is always the same; `body` is bytes or becomes JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return lambda *_: (status, {k.replace("_", "-"): v for k, v in headers.items()}, content)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()
