from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.errors import StackError
from shipway.local import state, tree
from shipway.local.state import Lock, ProcessState, Stack


def stack(pid: int) -> Stack:
    agent = ProcessState("agent", "running", 1.0, "http://127.0.0.1:8080", pid=7, restarts=2)
    return Stack("hello", pid, tree.started(pid) or "", 1.0, "http://api", "http://admin", 70.0, (agent,))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    Lock(tmp_path)
    state.write(tmp_path, stack(os.getpid()))
    assert state.read(tmp_path) == stack(os.getpid())


def test_nothing_runs_in_an_empty_project(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None
    with pytest.raises(StackError, match="no stack runs in"):
        state.require(tmp_path)


def test_a_reused_pid_is_not_the_supervisor(tmp_path: Path) -> None:
    Lock(tmp_path)
    state.write(tmp_path, replace(stack(os.getpid()), started="long ago"))
    assert state.read(tmp_path) is None


def test_half_a_file_is_no_stack(tmp_path: Path) -> None:
    Lock(tmp_path)
    (tmp_path / ".shipway/stack.json").write_text('{"name": ')
    assert state.read(tmp_path) is None


def test_a_second_stack_is_refused_and_the_first_named(tmp_path: Path) -> None:
    code = (
        "import sys, os, time; from pathlib import Path; from shipway.local import state, tree\n"
        "root = Path(sys.argv[1]); lock = state.Lock(root); lock.take()\n"
        "me = os.getpid()\n"
        "state.write(root, state.Stack('hello', me, tree.started(me), 1.0, 'api', 'admin', 1.0))\n"
        "print(me, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        pid = other.stdout.readline().strip()
        assert Lock(tmp_path).is_held()
        with pytest.raises(StackError, match=f"hello runs here already: pid {pid}, since ") as caught:
            Lock(tmp_path).take()
        assert "shipway down" in caught.value.hint
        other.kill()
    lock = Lock(tmp_path)
    lock.take()
    assert lock.owner() == tree.Known(os.getpid(), tree.started(os.getpid()) or "")
    assert not (tmp_path / ".shipway/stack.json").exists()  # the killed one's was stale
    os.close(lock.fileno())


def test_git_never_sees_the_state(tmp_path: Path) -> None:
    Lock(tmp_path)
    assert (tmp_path / ".shipway/.gitignore").read_text() == "*\n"
