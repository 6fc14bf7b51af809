from __future__ import annotations

import signal
import subprocess
import sys

from shipway.local import tree


def test_a_branch_is_found_and_ended_as_a_whole() -> None:
    code = "import subprocess as s; p = s.Popen(['sleep', '60'], start_new_session=True); "
    code += "print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        grandchild = int(parent.stdout.readline())
        found = tree.descendants([parent.pid])
        assert {process.pid for process in found} == {parent.pid, grandchild}
        assert all(tree.is_alive(process) for process in found)
        tree.end(found, signal.SIGKILL)
    assert not tree.is_alive(next(process for process in found if process.pid == parent.pid))


def test_a_reused_id_is_not_mistaken() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        stale = tree.Known(other.pid, "long ago")
        assert not tree.is_alive(stale)
        tree.end([stale], signal.SIGKILL)
        assert other.poll() is None
        other.kill()


def test_what_only_waits_to_be_read_is_dead() -> None:
    process = subprocess.Popen(["true"])
    while tree.started(process.pid):
        pass
    assert tree.descendants([process.pid]) == set()
    process.wait()
