from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import logging, sys, threading, warnings
from shipway_runtime.telemetry import outlets
from shipway_runtime.telemetry import logs

redact = lambda text: text.replace("hunter22", "[redacted]")
outlets.install(redact)
logs.configure(plain=False, revision="r-1", redact=redact)

class Weird:
    def __del__(self): raise ValueError("hunter22 in __del__")

def work(): raise RuntimeError("hunter22 in a thread")

assert print("hunter22 on stdout") is None
assert sys.stdout.write("hunter22") == 8, "what was given counts"
print("\\nn\\u00e9e \\ud800", flush=True)
print("hunter22 past it", file=sys.__stderr__)
thread = threading.Thread(target=work, name="worker")
thread.start(); thread.join()
warnings.warn("hunter22 in a warning")
del [Weird()][0]
raise KeyError("hunter22 at the end")
"""


def test_whatever_python_writes_is_redacted():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env={"LANG": "C.UTF-8"}
    )
    assert done.returncode == 1
    assert done.stdout == "[redacted] on stdout\n[redacted]\nnée \\ud800\n"
    assert "hunter22" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "[redacted] past it"
    assert '"message": "uncaught RuntimeError in the thread worker"' in lines[1]
    assert '"logger": "py.warnings"' in lines[2]
    assert "Weird.__del__" in lines[3]
    assert '"message": "uncaught KeyError"' in lines[4]
    assert "[redacted] at the end" in lines[4]


def test_streams_that_are_not_there_are_left_alone():
    script = "from shipway_runtime.telemetry import outlets; outlets.install(str); raise SystemExit(7)"
    done = subprocess.run(["sh", "-c", f'exec "$0" -c "{script}" >&- 2>&-', sys.executable])
    assert done.returncode == 7
