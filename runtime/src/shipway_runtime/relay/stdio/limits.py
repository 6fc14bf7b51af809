"""How much memory an inside server may allocate, and how that shows when it is too little.

In: a server with a `memory`. Out: the limit of its process in the kernel's terms, its command with what its
interpreter has to know, and whether its last words speak of memory.

RLIMIT_DATA, of each process alone: cgroups are read-only in a container, and RLIMIT_AS counts what Node only
reserves. It counts what a process may write to and does not share: heap, anonymous memory, 8 MiB for the
stack of each thread. Node 24 maps 510 MiB for code at its start, used or not, which is added to its limit;
its heap is bounded by V8, which collects garbage before it gives up.
"""

from __future__ import annotations

import re
import signal
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NODE = frozenset({"node", "nodejs"})
_NODE_RESERVES = 544 * 2**20
_NODE_HEAP = 0.75  # of the memory; the rest is for buffers, stacks and V8 itself
_WORDS = re.compile(
    rb"MemoryError|can't start new thread|out of memory|Cannot allocate memory|bad_alloc", re.I
)
_SIGNALS = frozenset({signal.SIGABRT, signal.SIGTRAP, signal.SIGSEGV, signal.SIGBUS})


def is_node(command: Sequence[str]) -> bool:
    return bool(command) and PurePath(command[0]).name in _NODE


def bounded(command: Sequence[str], memory: int | None) -> tuple[str, ...]:
    """The command as it is started within `memory` bytes."""
    if memory is None or not is_node(command):
        return tuple(command)
    heap = max(1, int(memory * _NODE_HEAP) // 2**20)
    return (command[0], f"--max-old-space-size={heap}", *command[1:])


def limiter(command: Sequence[str], memory: int | None) -> Callable[[], None] | None:
    """For the child between fork and exec, as the last thing there: what is allocated after it counts."""
    if memory is None or sys.platform != "linux":
        return None
    from resource import RLIM_INFINITY, RLIMIT_DATA, getrlimit, setrlimit

    limit = memory + (_NODE_RESERVES if is_node(command) else 0)
    hard = getrlimit(RLIMIT_DATA)[1]
    both = (limit, limit) if hard == RLIM_INFINITY else (min(limit, hard), min(limit, hard))

    def set_limit() -> None:
        setrlimit(RLIMIT_DATA, both)

    return set_limit


def speaks_of_memory(line: bytes) -> bool:
    return bool(_WORDS.search(line))


def may_be_memory(code: int | None) -> bool:
    """Whether an exit code is one of those with which programs end that get no memory."""
    return code is not None and code < 0 and -code in _SIGNALS


def in_words(memory: int) -> str:
    """`134217728` -> `128 MiB`."""
    return f"{memory / 2**20:.4g} MiB"
