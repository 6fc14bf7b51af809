"""A policy in a file: /etc/shipway/policy.json, or where SHIPWAY_POLICY says.

In: a path. Out: its text each time it is another one. The file is looked at by `stat` through its links, so
a swap of Kubernetes' `..data`, a rename, and a write in place are all seen; whoever watched the file itself
would miss the first two.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FRESH_NS = 1_000_000_000
"""So long after a write a second one may leave the same time stamp: until then the text is compared."""


class PolicyFile:
    """One file. `look` is for the control thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, ...] | None = None
        self._text: str | None = None

    def look(self) -> str | None:
        """The text, when it is not the one that the last look gave. Raises OSError and UnicodeDecodeError."""
        found = os.stat(self.path)  # noqa: PTH116 - follows links; the fastest call there is
        stamp = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._stamp:
            return None
        text = self.path.read_text("utf-8")
        self._stamp = stamp if time.time_ns() - found.st_mtime_ns > FRESH_NS else None
        if text == self._text:
            return None
        self._text = text
        return text

    def forget(self) -> None:
        """The next look gives the text, whether it is another one or not."""
        self._stamp = self._text = None
