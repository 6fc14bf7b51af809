"""A stand-in for the admin port, for as long as the agent is imported.

In: the admin port's bound socket. Out: `/healthz` is answered although an import holds the interpreter:
loading a large library from a cold disk can take longer than a probe waits, and no thread of this process
runs meanwhile. So a second process, forked before anything else runs, watches whether the control loop beats,
and takes the probes when it does not. It ends with the import, or with its parent.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import struct
import time
from typing import TYPE_CHECKING, Any, NoReturn

from ..contract import REVISION_HEADER

if TYPE_CHECKING:
    import socket

BEAT_S = 0.1
LATE_S = 0.5  # without a beat; a probe waits a second, or more
READ_S = 0.5  # for a request's head, one after another
HELD = "an import holds the interpreter"

_MOMENT = struct.Struct("d")


class StandIn:
    """`start` before there are threads, `beat` on the control loop, `end` on the main thread."""

    def __init__(self, admin: socket.socket, *, start_s: float, revision: str) -> None:
        self._admin, self._start_s, self._revision = admin, start_s, revision
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._pid: int | None = None
        self._began = time.monotonic()

    def start(self) -> None:
        """Fork. Where that is not allowed there is no stand-in, and probes wait."""
        self.beat()
        with contextlib.suppress(OSError):
            self._pid = os.fork()
        if self._pid == 0:
            self._serve(os.getppid())

    @property
    def standing(self) -> bool:
        """Whether somebody watches for the beat."""
        return self._pid is not None

    def beat(self) -> None:
        """The control loop turns."""
        _MOMENT.pack_into(self._shared, 0, time.monotonic())

    def end(self) -> None:
        """The import is over."""
        if self._pid:
            with contextlib.suppress(OSError):
                if os.waitpid(self._pid, os.WNOHANG)[0] == 0:
                    os.kill(self._pid, signal.SIGKILL)
                    os.waitpid(self._pid, 0)
        self._pid = None

    # -- In the second process ---------------------------------------------------------------------------

    def _serve(self, parent: int) -> NoReturn:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to both
            while os.getppid() == parent:
                if time.monotonic() - _MOMENT.unpack_from(self._shared)[0] > LATE_S:
                    with contextlib.suppress(OSError):  # nobody asks, or nobody listens yet
                        self._answer(self._admin.accept()[0])
                        continue
                time.sleep(BEAT_S / 2)
        finally:
            os._exit(0)

    def _answer(self, client: socket.socket) -> None:
        with client:
            client.settimeout(READ_S)
            head = b""
            while b"\r\n\r\n" not in head and len(head) < 65536 and (data := client.recv(65536)):
                head += data
            client.sendall(answer(head, time.monotonic() - self._began, self._start_s, self._revision))


def answer(head: bytes, age_s: float, start_s: float, revision: str) -> bytes:
    """What a request gets while nobody else can answer it. Only /healthz is anything but 503."""
    path = b"".join(head.split(b" ", 2)[1:2]).partition(b"?")[0]
    late = age_s > start_s
    status = "200 OK" if path == b"/healthz" and not late else "503 Service Unavailable"
    body = json.dumps(_document(path, age_s, late), indent=2) + "\n"
    lines = (f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}")
    text = "\r\n".join(
        [*lines, "cache-control: no-store", f"{REVISION_HEADER}: {revision}", "connection: close", "", ""]
    )
    return (text + ("" if head.startswith(b"HEAD ") else body)).encode()


def _document(path: bytes, age_s: float, late: bool) -> dict[str, Any]:
    if path == b"/healthz":
        return {"status": "stalled" if late else "starting", "for_s": round(age_s, 1), "at": HELD}
    if path == b"/readyz":
        agent = {"state": "starting", "since": round(time.time() - age_s, 3), "last_error": HELD}
        return {"status": "unready", "checks": {"agent": agent, "draining": {"state": "no"}}}
    return {"error": f"{HELD}; ask again"}
