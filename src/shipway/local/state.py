"""What runs in a project: .shipway/stack.json to read, .shipway/stack.lock against a second `up`.

In: the supervisor's view, written in one step each time it changes. Out: the same, for `status`, `ask`,
`logs` and `down`. A supervisor is known by its id and its start; what a killed one has left is stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from shipway.errors import StackError
from shipway.local.plan import STATE
from shipway.local.tree import Known, is_alive, started
from shipway_runtime import contract

if TYPE_CHECKING:
    from pathlib import Path

FILE, LOCK = "stack.json", "stack.lock"


Name = Literal["waiting", "starting", "running", "restarting", "stopping", "stopped"]


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process. `since` is when it came into its state, in seconds since the epoch."""

    name: str
    state: Name
    since: float
    address: str
    pid: int | None = None
    restarts: int = 0
    last_end: str | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack of processes: who supervises it, where it answers, and each process."""

    name: str
    pid: int
    started: str
    """When the supervisor started, in the system's own words: with the id it names one process for ever."""
    since: float
    api: str
    admin: str
    grace_s: float
    processes: tuple[ProcessState, ...] = field(default=())
    replayed: str | None = None
    """The directory that the model is replayed from; None when the real one is asked."""
    recorded: str | None = None
    """The directory that it is recorded into, when it is."""
    engine: Literal["docker", "processes"] = "processes"
    format: int = contract.FORMAT

    @property
    def supervisor(self) -> Known:
        return Known(self.pid, self.started)


def model(replayed: str | None, recorded: str | None) -> str:
    """Who answers for the model, in a few words."""
    if recorded:
        return f"model: the real one, recorded into {recorded}/"
    return f"model: replayed from {replayed}/" if replayed else "model: not replayed"


def read(root: Path) -> Stack | None:
    """The stack that runs in the project; None when none does, whatever a killed one has left."""
    file = root / STATE / FILE
    try:
        stack = contract.decode(Stack, file.read_text(), str(file))
    except (OSError, contract.ContractError):
        return None
    return stack if is_alive(stack.supervisor) else None


def require(root: Path) -> Stack:
    """The stack that runs in the project. Raises StackError when none does."""
    stack = read(root)
    if stack is None:
        raise StackError(f"no stack runs in {root.resolve()}", "start it: shipway up")
    return stack


def write(root: Path, stack: Stack) -> None:
    """Replace the state in one step."""
    file = root / STATE / FILE
    new = file.with_suffix(".new")
    new.write_text(contract.encode(stack))
    new.replace(file)


def remove(root: Path) -> None:
    (root / STATE / FILE).unlink(missing_ok=True)


class Lock:
    """Held by the supervisor, and by its warden until nothing of a killed stack is left."""

    def __init__(self, root: Path) -> None:
        self._root = root
        directory = root / STATE
        directory.mkdir(parents=True, exist_ok=True)
        ignore = directory / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        self._path = directory / LOCK
        self._fd: int | None = None

    def take(self, wait_s: float = 10.0) -> None:
        """Take the lock, when a killed stack is gone. Raises StackError while another stack runs."""
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + wait_s
        while not self._try():
            if stack := read(self._root):
                raise _refused(stack)
            if time.monotonic() > deadline:
                owner = self.owner()
                raise StackError(
                    f"another shipway (pid {owner.pid if owner else 'unknown'}) holds {self._path}",
                    "wait for it, or end it: shipway down",
                )
            time.sleep(0.1)
        self.sign()
        remove(self._root)

    def sign(self) -> None:
        """Write into it who holds it: this process."""
        os.ftruncate(self.fileno(), 0)
        os.pwrite(self.fileno(), f"{os.getpid()} {started(os.getpid())}\n".encode(), 0)

    def is_held(self) -> bool:
        """Whether somebody else holds it now."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def owner(self) -> Known | None:
        """The process that took it last, if it lives."""
        with contextlib.suppress(OSError, ValueError):
            pid, _, start = self._path.read_text().strip().partition(" ")
            owner = Known(int(pid), start)
            return owner if is_alive(owner) else None
        return None

    def fileno(self) -> int:
        if self._fd is None:
            raise RuntimeError("the lock is not taken")
        return self._fd

    def _try(self) -> bool:
        try:
            fcntl.flock(self.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _refused(stack: Stack) -> StackError:
    since = time.strftime("%H:%M:%S", time.localtime(stack.since))
    return StackError(
        f"{stack.name} runs here already: pid {stack.pid}, since {since}, {stack.api}",
        "use it (shipway status), or end it first: shipway down",
    )
