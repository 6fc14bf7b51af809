"""What keeps the runtime from starting.

In: what was seen, what was expected, what to do. Out: one message on the log and exit code 1, never a
traceback of ours.
"""

from __future__ import annotations


class StartError(Exception):
    """The process cannot start as it was configured; the message is for whoever runs it."""


class NotYetError(StartError):
    """Declared, understood, and not implemented by this version: refused rather than ignored."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what}: not yet; {instead}")
