"""Routers in front of two small backends: ours, and what else would be put there.

In: a directory. Out: for the time of a `with`, a router's address and how its weights are changed. A backend
is a HAProxy that answers by itself, so that no router waits for it: it says which one it is, and gives a
conversation without a name one, as agents do. Run alone it is the embedded router, in a process of its own.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopback import free_port, wait

from processes import running as process
from shipway.deploy.processes import routers as processes
from shipway.rollout.traffic.split import Backend, Slot, Split, Traffic

HOST = "127.0.0.1"
ANSWERS = """
frontend {slot}
    bind 127.0.0.1:{port}
    option http-buffer-request
    http-request set-var(txn.name) req.hdr(x-conversation-id)
    http-request set-var(txn.name) uuid() if !{{ var(txn.name) -m found }}
    http-request return status 200 content-type application/json hdr x-conversation-id %[var(txn.name)] \
hdr x-slot {slot} string '{{"slot":"{slot}"}}'
"""
HEAD = """
global
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
"""
OTHER = """
frontend api
    bind 127.0.0.1:{port}
    default_backend agent
backend agent
    {rules}
    server a 127.0.0.1:{a} weight 100
    server b 127.0.0.1:{b} weight 0
"""


@dataclass(frozen=True)
class Router:
    """Where it is, and how `percent` of new conversations come to b."""

    port: int
    weigh: Callable[[int], None]


Start = Callable[[Path], AbstractContextManager[Router]]


@contextmanager
def backends(place: Path) -> Iterator[dict[Slot, Backend]]:
    """The two that answer."""
    found: dict[Slot, Backend] = {"a": Backend("a", HOST, free_port()), "b": Backend("b", HOST, free_port())}
    text = "".join(ANSWERS.format(slot=slot, port=one.port) for slot, one in found.items())
    with _haproxy(place / "answers", text, found["a"].port):
        yield found


def ours(two: dict[Slot, Backend]) -> Start:
    """HAProxy with our configuration."""

    @contextmanager
    def start(place: Path) -> Iterator[Router]:
        port = free_port()
        with processes.haproxy("haproxy", HOST, port, place) as traffic:
            yield _ready(Router(port, functools.partial(_apply, traffic, two)), traffic)

    return start


def embedded(two: dict[Slot, Backend]) -> Start:
    """The embedded router, in a thread of this process."""

    @contextmanager
    def start(place: Path) -> Iterator[Router]:
        port = free_port()
        with processes.embedded(HOST, port) as traffic:
            yield _ready(Router(port, functools.partial(_apply, traffic, two)), traffic)

    return start


def embedded_alone(two: dict[Slot, Backend]) -> Start:
    """The same in a process of its own, with all of its weight on a."""

    @contextmanager
    def start(place: Path) -> Iterator[Router]:
        port = free_port()
        with process((sys.executable, __file__, *map(str, (port, two["a"].port)))):
            wait(f"http://{HOST}:{port}/readyz")
            yield Router(port, lambda percent: None)

    return start


def other(two: dict[Slot, Backend], *rules: str) -> Start:
    """A HAProxy with somebody else's rules."""

    @contextmanager
    def start(place: Path) -> Iterator[Router]:
        port, name = free_port(), place / f"other-{free_port()}"
        text = OTHER.format(port=port, rules="\n    ".join(rules), a=two["a"].port, b=two["b"].port)
        with _haproxy(name, text, port) as path:
            yield Router(port, functools.partial(_set_weights, path))

    return start


@contextmanager
def direct(two: dict[Slot, Backend], place: Path) -> Iterator[Router]:
    yield Router(two["a"].port, lambda percent: None)


def _apply(traffic: Traffic, two: dict[Slot, Backend], percent: int) -> None:
    traffic.apply(Split(two["a"], two["b"], percent))


def _set_weights(path: Path, percent: int) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(f"set weight agent/a {100 - percent}; set weight agent/b {percent}\n".encode())
        while connection.recv(4096):
            pass


def _ready(router: Router, traffic: Traffic) -> Router:
    router.weigh(0)
    while not all(slot.ready for slot in traffic.served().values()):
        time.sleep(0.05)
    return router


@contextmanager
def _haproxy(name: Path, text: str, port: int) -> Iterator[Path]:
    """One with this configuration, which answers on `port`; gives its socket."""
    file, path = name.with_suffix(".cfg"), name.with_suffix(".sock")
    file.write_text(HEAD.format(socket=path) + text)
    with process(("haproxy", "-db", "-f", str(file))):
        wait(f"http://{HOST}:{port}/readyz")
        yield path


def main() -> None:
    port, backend = map(int, sys.argv[1:])
    with processes.embedded(HOST, port) as traffic:
        traffic.apply(Split(Backend("a", HOST, backend)))
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(600)


if __name__ == "__main__":
    main()
