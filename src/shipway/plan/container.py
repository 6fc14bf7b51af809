"""What every container of a stack has in common, whoever starts it.

In: ports, and what is asked of them. Out: command lines that need nothing in an image but its Python.
"""

from __future__ import annotations

from shipway_runtime import contract

PYTHON = f"{contract.VENV}/bin/python"
USER = f"{contract.UID}:{contract.UID}"
ENDING_S = 15
"""What the runtime may take beyond [health] grace: docs/reference/stopping.md."""

HOLD = (
    PYTHON,
    "-IS",
    "-c",
    "import signal; stop = {signal.SIGTERM, signal.SIGINT}; "
    "signal.pthread_sigmask(signal.SIG_BLOCK, stop); signal.sigwait(stop)",
)
"""Holds a network namespace that others join, until it is told to end: a pod has a pause container for it."""


def probe(port: int, path: str) -> tuple[str, ...]:
    """A command that succeeds when GET `path` on this port of loopback is answered with 200.

    For engines that ask from inside the container. -IS: thirty milliseconds each time instead of sixty.
    """
    return (
        PYTHON,
        "-IS",
        "-c",
        f"import http.client; c = http.client.HTTPConnection('127.0.0.1', {port}, timeout=5); "
        f"c.request('GET', '{path}'); raise SystemExit(c.getresponse().status != 200)",
    )
