"""A process that is interrupted: its programs, its temporary files, its exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORK = """
import pathlib, sys, tempfile, threading
from shipway.build.interruption import interruptible, run, temporary
place = pathlib.Path(sys.argv[1])

def work():
    with temporary(lambda: pathlib.Path(tempfile.mkdtemp(dir=place))) as directory:
        run(("sh", "-c", f"sleep 600 & echo $! >{directory}/pid; mv {directory}/pid {place}/pid; wait"))

with interruptible():
    threading.Thread(target=work).start()
    threading.Event().wait()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("is_heard", [True, False])
def test_it_ends_with_all_that_it_has_started(
    tmp_path: Path, number: signal.Signals, code: int, is_heard: bool
) -> None:
    process = subprocess.Popen((sys.executable, "-c", WORK, tmp_path), stderr=subprocess.PIPE)
    assert process.stderr is not None
    while not (tmp_path / "pid").exists():
        assert process.poll() is None
        time.sleep(0.01)
    if not is_heard:
        process.stderr.close()
    process.send_signal(number)
    assert process.wait() == code
    if is_heard:
        assert process.stderr.read() == b"\ninterrupted\n"
        process.stderr.close()
    pid = (tmp_path / "pid").read_text().strip()
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]
    end = time.monotonic() + 5  # killed it is; on a busy machine it dies a moment later
    while _is_running(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def _is_running(pid: str) -> bool:
    """A process that waits to be reaped has no command line any more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_without_a_signal_everything_is_as_before(tmp_path: Path) -> None:
    text = WORK.partition("with interruptible")[0] + (
        "import signal\nbefore = signal.getsignal(signal.SIGTERM)\n"
        "with interruptible():\n    done = run(('sh', '-c', 'echo out; echo err >&2; exit 3'))\n"
        "assert signal.getsignal(signal.SIGTERM) is before\n"
        "print(done.returncode, done.stdout.strip(), done.stderr.strip())\n"
    )
    done = subprocess.run((sys.executable, "-c", text, tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 out err\n", "")
