"""What the process writes on stdout and stderr, whoever writes it: without the value of any secret.

In: `redact`. Out: `sys.stdout` and `sys.stderr` that redact each text, so `print(os.environ)` in an agent and
`traceback.print_exc()` in a library are covered, not the log alone; and uncaught exceptions, of threads, too,
and warnings as lines of the log. What is written past them, as bytes or on the descriptor, is not seen.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, TextIO

from . import log

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Outlet(io.TextIOWrapper):
    """A text stream that redacts what is written."""

    def __init__(self, stream: TextIO, redact: Callable[[str], str]) -> None:
        settings = {"encoding": stream.encoding, "line_buffering": True, "errors": "backslashreplace"}
        super().__init__(stream.buffer, **settings)  # type: ignore[arg-type]
        self._redact = redact
        # Two wrappers share the buffer from here on: the old one must not close it when it goes.
        self._before = stream

    def write(self, text: str) -> int:
        super().write(self._redact(text))
        return len(text)


def install(redact: Callable[[str], str]) -> None:
    """Redact from now on: call once, before anything holds on to a stream."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):  # None, or replaced by a test: left alone
            outlet = Outlet(stream, redact)
            setattr(sys, name, outlet)
            setattr(sys, f"__{name}__", outlet)
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # no descriptor behind it
        faulthandler.enable(sys.stderr)  # a crash in native code names its lines, and no value
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    logging.captureWarnings(True)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("uncaught %s", kind.__name__, exc_info=(kind, error, trace))


def _uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    name = given.thread.name if given.thread else "a thread"
    if given.exc_value is not None and not issubclass(given.exc_type, SystemExit):
        trace = (given.exc_type, given.exc_value, given.exc_traceback)
        log.error("uncaught %s in the thread %s", given.exc_type.__name__, name, exc_info=trace)


def _unraisable(given: Any) -> None:
    what = getattr(given.object, "__qualname__", type(given.object).__name__)
    log.error("%s: %s", given.err_msg or "exception ignored in", what, exc_info=given.exc_value)
