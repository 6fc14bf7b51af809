"""The end of a stack, from another process.

In: a project's directory. Out: True when a stack was ended, False when none ran. The supervisor has its
agent's grace; then it is killed, and its warden ends what is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.local import docker, state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MARGIN_S = 20.0  # beyond the longest grace: sidecars and services end after the agent
_LAST_S = 15.0
_POLL_S = 0.05
_TELL_AFTER_S = 2.0


def down(root: Path, say: Callable[[str], None]) -> bool:
    """End the stack that runs in `root`. Raises StackError when it would not end."""
    lock = state.Lock(root)
    stack = state.read(root)
    if stack is None and not lock.is_held():
        state.remove(root)
        return docker.remove_left(root)
    if stack is not None:
        _signal(stack.pid, signal.SIGTERM)
        if _released(lock, stack.grace_s + _MARGIN_S, lambda: say(_waiting(root))):
            return True
        say(f"the supervisor (pid {stack.pid}) did not end: killing it")
        _signal(stack.pid, signal.SIGKILL)
    elif owner := lock.owner():
        _signal(owner.pid, signal.SIGTERM)  # an `up` that still installs, or a warden that finishes
    if not _released(lock, _LAST_S, lambda: None):
        raise StackError(f"the stack in {root} did not end", "look at `ps`, and end what is left by hand")
    docker.remove_left(root)
    state.remove(root)
    return True


def _released(lock: state.Lock, seconds: float, remind: Callable[[], None]) -> bool:
    """Wait until nobody holds the lock."""
    began, reminded = time.monotonic(), False
    while lock.is_held():
        passed = time.monotonic() - began
        if passed > seconds:
            return False
        if passed > _TELL_AFTER_S and not reminded:
            reminded = True
            remind()
        time.sleep(_POLL_S)
    return True


def _waiting(root: Path) -> str:
    stack = state.read(root)
    left = [p.name for p in stack.processes if p.state != "stopped"] if stack else []
    return f"waiting for {', '.join(left) or 'the supervisor'} to end"


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
