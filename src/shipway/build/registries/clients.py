"""HTTP clients, each made when it is first needed.

In: an address. Out: the client for it. What only certificates make slow is not paid for where no TLS is
spoken: to trust the host's certificates takes 20 ms, which a registry on loopback does not need.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field

import httpx2

from shipway.build.registries.reference import is_loopback


@dataclass(slots=True)
class Clients:
    """One client for plain HTTP on our own loopback, which no proxy reaches; one for everything else.

    Threads may share them. `timeout` is of both.
    """

    timeout: httpx2.Timeout
    _made: dict[bool, httpx2.Client] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, url: httpx2.URL) -> httpx2.Client:
        """The client for this address."""
        own = url.scheme == "http" and is_loopback(url.netloc.decode())
        with self._lock:
            if own not in self._made:
                self._made[own] = self._own() if own else self._other()
            return self._made[own]

    def close(self) -> None:
        for client in self._made.values():
            client.close()

    def _own(self) -> httpx2.Client:
        return httpx2.Client(timeout=self.timeout, verify=trust_nobody(), trust_env=False)

    def _other(self) -> httpx2.Client:
        direct = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
        return httpx2.Client(timeout=self.timeout, mounts=direct)


def trust_nobody() -> ssl.SSLContext:
    """Without certificates, verification fails: TLS by mistake would be refused, and not open."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
