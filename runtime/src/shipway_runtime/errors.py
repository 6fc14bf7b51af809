"""What keeps the runtime from starting.

In: what was seen, what was expected, what to do. Out: one message on the log and exit code 1, never a
traceback of ours.
"""

from __future__ import annotations


class StartError(Exception):
    """The process cannot start as it was configured; the message is for whoever runs it."""
