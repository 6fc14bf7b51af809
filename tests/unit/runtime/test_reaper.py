from __future__ import annotations

import subprocess
import sys

CHILD_SUBREAPER = 36

SCRIPT = f"""
import ctypes, os, subprocess, time
from shipway_runtime.reaper import Reaper, find_zombies

ctypes.CDLL(None).prctl({CHILD_SUBREAPER}, 1)  # orphans come to this process, as they do to process 1

def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)

known = subprocess.Popen(["sh", "-c", "exit 7"])
orphan = int(subprocess.run(["sh", "-c", "sleep 0.05 & echo $!"], capture_output=True, text=True).stdout)
wait_for(lambda: find_zombies() == {{known.pid, orphan}})

reaper = Reaper()
assert reaper.look() == [], "one look is not enough"
assert reaper.look() == [orphan]
assert find_zombies() == {{known.pid}}
assert known.wait() == 7, "the exit code belongs to whoever waits for it"
assert reaper.look() == []
"""


def test_orphans_are_reaped_and_known_children_are_not():
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
