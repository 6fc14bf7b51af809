"""An issuer of JSON Web Tokens on loopback: real keys, real signatures, a key set over HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PRIVATE: dict[str, Any] = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
"""A key for each algorithm; making one of RSA takes longest, so they are made once."""


def jwk(algorithm: str, **more: Any) -> dict[str, Any]:
    """The public key for `algorithm`, as an issuer publishes it. What is None is left out."""
    of = jwt.get_algorithm_by_name(algorithm)
    given: Any = of.to_jwk(PRIVATE[algorithm].public_key(), as_dict=True)  # type: ignore[call-overload]
    return {k: v for k, v in ({**given, "kid": algorithm, "use": "sig"} | more).items() if v is not None}


def sign(algorithm: str = "ES256", *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token of that key. Claims that are None are left out."""
    given = {"org": "acme", "exp": int(time.time()) + 60, "aud": "support", "iss": "https://login"} | claims
    kept = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(kept, PRIVATE[algorithm], algorithm, headers={"kid": algorithm} | (headers or {}))


class IssuerServer:
    """Serves `document` (or bytes), with `status`; while `gate` is not set, nothing at all."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.document: Any = {"keys": list(keys)}
        self.status, self.requests = 200, 0
        self.headers: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                server.gate.wait(20)
                given = server.document
                content = given if isinstance(given, bytes) else json.dumps(given).encode()
                self.send_response(server.status)
                for name, value in {"content-length": str(len(content)), **server.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):  # whoever asked has seen enough
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_port
        self.url = f"http://127.0.0.1:{self.port}/jwks.json"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def publish(self, *keys: dict[str, Any]) -> None:
        self.document = {"keys": list(keys)}

    def close(self) -> None:
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
