"""Whether a stream of a model's API came to its end.

In: the bytes of a body of server-sent events, in whatever pieces they arrive. Out: `end`, the event that
ended it; `missing`, the one that did not come. Nothing is kept but the last EDGE bytes, and nothing is
parsed: events begin at the beginning of a line, and a name in quotes cannot stand inside a JSON text, which
would escape them.

A stream that shows none of the known APIs is not judged, and what is judged gets the benefit of the doubt: of
Chat Completions a `finish_reason` is an end, for not every server of it sends `[DONE]`.
"""

from __future__ import annotations

import re

EDGE = 96
"""Longer than everything that is looked for."""

OPENINGS = {b"message_start": "message_stop", b"response.": "response.completed"}
OPENINGS |= {b"choices": "[DONE]", b"candidates": "finishReason"}
"""What a stream of each API shows at its beginning -> what it ends with."""
PATHS = {"/messages": "message_stop", "/responses": "response.completed"}
PATHS |= {"/chat/completions": "[DONE]", ":streamGenerateContent": "finishReason"}
"""The same by the path that was asked: a stream without a single event shows nothing else."""
FAILED = frozenset({b"error", b"response.failed"})

_OPENING = re.compile(
    rb'\n(?:event: ?|data: ?\{ ?"type": ?")(message_start|response\.)|"(choices|candidates)": ?\['
)
_TYPES = rb"message_stop|error|response\.(?:completed|incomplete|failed|cancelled)"
_LINE = re.compile(
    rb"\n(?:event: ?(" + _TYPES + rb")\r?\n"
    rb'|data: ?\{ ?"type": ?"(' + _TYPES + rb')"'
    rb"|data: ?(\[DONE\])"
    rb'|(?:data: ?)?\[?\{\s{0,4}"(error)": ?\{)'
)
_KEY = re.compile(rb'"(finish_reason|finishReason|blockReason)"\s{0,4}:\s{0,4}"')


class Endings:
    """One stream. `path` is where its request went; give each piece of the body to `read`."""

    __slots__ = ("_expected", "_opened", "_silent", "_tail", "end")

    def __init__(self, path: str = "") -> None:
        self.end: bytes | None = None
        self._expected = next((end for known, end in PATHS.items() if path.endswith(known)), None)
        self._opened = False
        self._silent = True  # not one event
        self._tail = b"\n"

    def read(self, piece: bytes) -> None:
        """The next bytes. After the end it costs nothing."""
        if self.end is not None:
            return
        data = self._tail + piece
        if not self._opened:
            self._open(data)
        if found := _LINE.search(data) or (b"eason" in data and _KEY.search(data)):
            self.end = found[found.lastindex or 0]
        self._tail = data[-EDGE:]

    def _open(self, data: bytes) -> None:
        if found := _OPENING.search(data):
            self._expected, self._opened = OPENINGS[found[found.lastindex or 0]], True
        elif self._silent and b"\ndata:" in data:
            self._silent = False

    @property
    def failed(self) -> str | None:
        """The event that ended the stream, where that is an error."""
        return self.end.decode() if self.end in FAILED else None

    def missing(self) -> str | None:
        """The event that should have ended the stream and did not, now that its body is over."""
        if self.end is None and (self._opened or self._silent):
            return self._expected
        return None
