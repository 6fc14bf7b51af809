"""What the process gives up at its start, because it never needs it.

In: nothing. Out: a process that leaves no core dump, whose environment and memory no other process of its
user can read, MCP servers inside included, and whose files nobody else can read. In development none of it
holds: debuggers and profilers attach there.
"""

from __future__ import annotations

import contextlib
import os
import resource

PR_SET_DUMPABLE = 4
UMASK = 0o027


def harden() -> None:
    """Best effort: where the platform refuses, it has its own way."""
    os.umask(UMASK)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError, ImportError):
        import ctypes

        # The files of this process under /proc are root's from here on: /proc/PID/environ among them.
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
