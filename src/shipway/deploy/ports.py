"""Which ports of the machine router and control get: those that they have, else free ones.

In: what a user asks for, what is published already. Out: addresses and ports. A port is tried by publishing
it, on that very machine: what else listens there no engine knows. Errors: StackError for one that is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.deploy.engine import refused
from shipway.errors import StackError
from shipway.plan.container import PYTHON
from shipway.plan.placement import EVERYWHERE, LOOPBACK
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipway.deploy.engine import Engine
    from shipway.rollout.service.messages import PortSeen

API = contract.API_PORT
_TRIES = 20  # deployments of one machine, each with a control

_TAKEN = ("port is already allocated", "address already in use")
_ELSEWHERE = "cannot assign requested address"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the machine, and at which of its addresses."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}" if self.address else str(self.port)


def parse(text: str) -> Port:
    """8080, or 127.0.0.1:8080. Raises ValueError."""
    match = re.fullmatch(r"(?:(\d+\.\d+\.\d+\.\d+):)?(\d{1,5})", text)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError(f"expected PORT or ADDRESS:PORT, such as 443 or 127.0.0.1:8080; saw {text!r}")
    return Port(match[1] or EVERYWHERE, int(match[2]))


def choose(engine: Engine, image: str, wanted: Port | None, has: Iterable[PortSeen]) -> tuple[Port, int]:
    """The router's port, and control's on loopback. `image` is one of ours, for trying. Raises StackError."""
    known = {seen.of: Port(seen.address, seen.port) for seen in has}
    api = wanted or known.get("router") or Port(EVERYWHERE, API)
    control = known.get("control") or Port(LOOPBACK, contract.CONTROL_PORT)
    new = [port for name, port in (("router", api), ("control", control)) if known.get(name) != port]
    if new and not _are_free(engine, image, *new):  # which one it is, is worth asking only then
        if api in new:
            _require(engine, image, api)
        if control in new:
            control = _next_free(engine, image, api)
    return api, control.port


def _require(engine: Engine, image: str, port: Port) -> None:
    if not _are_free(engine, image, port):
        raise StackError(
            f"port {port.port} of {engine.machine} is taken by something else",
            f"end that (docker ps, ss -ltnp), or take another: --port {port.port + 1}",
        )


def _next_free(engine: Engine, image: str, api: Port) -> Port:
    """For control: each deployment of a machine has one."""
    for number in range(contract.CONTROL_PORT, contract.CONTROL_PORT + _TRIES):
        port = Port(LOOPBACK, number)
        if number != api.port and _are_free(engine, image, port):
            return port
    raise StackError(f"no port from {contract.CONTROL_PORT} on is free for control on {engine.machine}")


def _are_free(engine: Engine, image: str, *ports: Port) -> bool:
    publish = [word for port in ports for word in ("--publish", f"{port}:{port.port}")]
    done = engine.run(
        *("run", "--rm", "--network", "bridge", *publish, "--entrypoint", PYTHON, image, "-ISc", "")
    )
    if done.returncode == 0:
        return True
    if any(word in done.stderr for word in _TAKEN):
        return False
    if _ELSEWHERE in done.stderr:
        raise StackError(
            f"{ports[0].address} is no address of {engine.machine}",
            f"--port {ports[0].port} listens at all of them",
        )
    raise refused(done.stderr)
