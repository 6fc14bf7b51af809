"""Whether a host can be reached: its name is resolved, a TCP connection opened and closed, nothing is sent.

In: a URL, and the environment for proxies. Out: None, or the reason in words. There is no TLS handshake: it
would load certificates in every process each few seconds, and real traffic tells what is wrong with them.

A name server that does not answer holds a thread for as long as it likes. So there is one thread at most for
each host, outside asyncio's pool, which everything else on the control loop needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .faults import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOOKUP_S = 2.0  # below the bound of a whole check: the reason should name the lookup
STAGGER_S = 0.25  # between attempts at a host's addresses (RFC 8305): one family may lead nowhere
PORTS = {"https": 443, "socks5": 1080, "socks5h": 1080}

Address = tuple[Any, ...]  # as socket.getaddrinfo gives it


class Reach:
    """The way to one URL. `probe` belongs to one loop."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        self._host, self._port = route(url, environ)
        self._lookup: asyncio.Future[list[Address] | str] | None = None

    async def probe(self) -> str | None:
        """None when the host takes a connection, else why not."""
        found = await self._resolve()
        reason = found if isinstance(found, str) else await _connect_any(found)
        return reason and f"{self._host}:{self._port}: {reason}"

    async def _resolve(self) -> list[Address] | str:
        if self._lookup is None:
            self._lookup = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._look_up, args=(self._lookup,), daemon=True).start()
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await asyncio.shield(self._lookup)
        except TimeoutError:
            return (
                f"the name is not resolved within {LOOKUP_S:g} s"  # the next probe waits for the same answer
            )
        self._lookup = None
        return found

    def _look_up(self, lookup: asyncio.Future[list[Address] | str]) -> None:
        found: list[Address] | str
        try:
            found = list(socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found = words(error)
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process ends
            lookup.get_loop().call_soon_threadsafe(_settle, lookup, found)


def _settle(lookup: asyncio.Future[list[Address] | str], found: list[Address] | str) -> None:
    if not lookup.done():
        lookup.set_result(found)


async def _connect_any(addresses: Sequence[Address]) -> str | None:
    """None once any of the addresses takes a connection, else what the first of them said."""
    waiting, errors = list(addresses), list[str]()
    running = set[asyncio.Task[str | None]]()
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.pop(0))))
            pause = STAGGER_S if waiting else None
            done, running = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (reason := task.result()) is None:
                    return None
                errors.append(reason)
    finally:
        for task in running:
            task.cancel()
    return errors[0] if errors else "the name has no address"


async def _connect(address: Address) -> str | None:
    family, kind, protocol, _, place = address
    try:
        with socket.socket(family, kind, protocol) as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, place)
    except OSError as error:
        return words(error)
    return None


def route(url: str, environ: Mapping[str, str]) -> tuple[str, int]:
    """Host and port that a client of `url` connects to, a proxy of the environment included."""
    target = urlsplit(url)
    proxy = _variable(environ, f"{target.scheme}_proxy") or _variable(environ, "all_proxy")
    if proxy and not _bypassed(target.hostname or "", _variable(environ, "no_proxy") or ""):
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return target.hostname or "", target.port or PORTS.get(target.scheme, 80)


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name) or environ.get(name.upper())


def _bypassed(host: str, no_proxy: str) -> bool:
    suffixes = [part.strip().lstrip(".") for part in no_proxy.split(",") if part.strip()]
    return any(part == "*" or host == part or host.endswith(f".{part}") for part in suffixes)
