"""`python -m shipway.replay` as a process, for tests that talk to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path


class Replay:
    """A replay of `directory` on a free port; `lines` is what it wrote to stderr, whole when it stopped."""

    def __init__(self, directory: Path, *arguments: str, env: Mapping[str, str] = {}) -> None:
        command = [sys.executable, "-m", "shipway.replay", str(directory), "--port", "0", *arguments]
        environment = os.environ | {"NO_PROXY": "localhost,127.0.0.1"} | dict(env)
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr
        banner = self.process.stderr.readline()
        found = re.search(r"http://\S+", banner)
        assert found, banner + self.process.stderr.read()
        self.url = found[0]
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        code = self.process.wait(timeout=20)
        self._reader.join(timeout=20)
        assert self.process.stderr
        self.process.stderr.close()
        return code

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
