"""While the model is replayed, nobody reaches a real one.

In: the address of the replay. Out: looking up the name of a provider's host fails, with a message that says
what to do; once on the log, for SDKs wrap and repeat what they are told. It holds for this process and every
library that resolves names as Python does. What it does not hold: child processes, which have placeholders
for keys; resolvers in C (gRPC's, c-ares, uvloop's); an address that was written as numbers.
"""

from __future__ import annotations

import functools
import sys

from ..contract import BASE_URL_VARIABLES, PROVIDER_URLS
from ..health.faults import Fault, marked
from ..telemetry import log
from .hosts import address, is_provider

_VARIABLES = {address(PROVIDER_URLS[name]): variable for name, variable in BASE_URL_VARIABLES.items()}


def refuse_providers(replay: str) -> None:
    """From here on, in the whole process, and for good: an audit hook cannot be taken back."""

    def look(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.getaddrinfo":
            refuse(arguments[0], replay)

    sys.addaudithook(look)


def refuse(host: object, replay: str) -> None:
    """Raise OSError for a provider's host."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if isinstance(name, str) and is_provider(name):
        _tell(message := explain(name, replay))
        raise marked(OSError(message), Fault(message, shown=True))


def explain(host: str, replay: str) -> str:
    variable = _VARIABLES.get((host.rstrip(".").lower(), 443))
    where = f"the base URL in {variable}" if variable else f"the replay's address, {replay}"
    return (
        f"{host} is not reachable in development: the model is replayed. Use {where}, "
        "or run `shipway up --live` (or --record)"
    )


@functools.cache
def _tell(message: str) -> None:
    log.error("%s", message)
