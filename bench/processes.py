"""Processes of a benchmark, and the environments that peers are installed in.

In: a command; a package. Out: a process for the time of a `with`; what it and its children take; a version.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


def install(directory: Path, package: str, name: str | None = None, beside: Sequence[str] = ()) -> str:
    """An environment of its own, made by uv; returns the version of `name`, else of `package`, in it."""
    program = uv.find_uv_bin()
    for words in (
        ("venv", "-q", "-p", sys.executable, directory),
        ("pip", "install", "-q", "--compile-bytecode", "-p", directory, package, *beside),
    ):
        subprocess.run((program, *words), check=True)
    show = (program, "pip", "show", "-p", directory, name or package)
    lines = subprocess.run(show, check=True, capture_output=True, text=True).stdout.splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Version:"))


@contextmanager
def running(
    command: Sequence[str], environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the time of the `with`; then it and what it started are ended."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, env=environ, cwd=cwd, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            left = family(process.pid)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            for pid in (process.pid, *left):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)


def family(pid: int) -> list[int]:
    """All descendants of a process that run now."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(stat.parent.name))
    found = list(children.get(pid, ()))
    for child in found:  # grows while it is read
        found += children.get(child, ())
    return found


def memory_mb(pids: Iterable[int]) -> tuple[float, float]:
    """RSS and PSS of processes together, in MB of 1024 kB."""
    rss = pss = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        amounts = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
        rss, pss = rss + amounts["Rss"], pss + amounts["Pss"]
    return rss / 1024, pss / 1024
