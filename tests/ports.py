"""Ports of loopback for servers that a test starts by number.

A port that is bound, closed and handed on can be taken by anybody's outgoing connection before the server has
it. These lie below the range that the system takes such ports from, and no two test processes share any: each
holds the lock of a region of its own until it ends.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST, _REGION, _REGIONS = 10_000, 2_800, 8  # up to 32,400; Linux' own begin at 32,768
_BLOCK = 40  # a stack keeps its other ports within this distance of its API's


def free_port() -> int:
    """A port that nobody listens on; the 39 above it are free and this process's own, too."""
    blocks = _blocks()
    for _ in range(_REGION // _BLOCK):
        block = next(blocks)
        if all(_is_free(port) for port in range(block, block + _BLOCK)):
            return block
    raise RuntimeError(f"no block of ports near {block} is free: which test leaves its servers behind?")


@cache
def _blocks() -> Iterator[int]:
    region = _own_region()
    return itertools.cycle(range(region, region + _REGION, _BLOCK))


def _own_region() -> int:
    """The first port of a region that is this process's until it ends."""
    locks = Path(tempfile.gettempdir()) / f"shipway-test-ports-{os.getuid()}"
    held = os.open(locks, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # closed by the end of the process
    for number in range(_REGIONS):
        try:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            continue
        return _FIRST + number * _REGION
    raise RuntimeError(f"{_REGIONS} test processes have all regions of ports; see {locks}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
