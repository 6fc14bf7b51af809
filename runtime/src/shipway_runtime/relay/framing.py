"""Bytes to lines and to server-sent events, and back.

In: chunks as a pipe or a connection delivers them. Out: whole lines and events, none longer than a limit.
No input or output here. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end. `cut` when it was longer than the limit and only its start is here."""

    text: bytes
    cut: bool = False


@dataclass(slots=True)
class LineSplitter:
    """Splits a byte stream at line feeds. Of a longer line it keeps `limit` bytes and drops the rest."""

    limit: int
    _start: bytearray = field(default_factory=bytearray)
    _cut: bool = False

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that this chunk completes."""
        *whole, rest = chunk.split(b"\n")
        lines = []
        for part in whole:
            self._keep(part)
            lines.append(self._take())
        self._keep(rest)
        return lines

    def end(self) -> list[Line]:
        """The last line, when the stream ended without a line feed."""
        return [self._take()] if self._start else []

    def _keep(self, part: bytes) -> None:
        room = self.limit - len(self._start)
        self._start += part[:room]
        self._cut = self._cut or len(part) > room

    def _take(self) -> Line:
        line = Line(bytes(self._start.rstrip(b"\r")), self._cut)
        self._start.clear()
        self._cut = False
        return line


class TooLong(ValueError):
    """An event above the limit."""


@dataclass(slots=True)
class EventSplitter:
    """Splits a stream into server-sent events as they are on the wire, blank line at the end included."""

    limit: int
    numbered: bool = False  # whether an event had an id, so that the stream can be taken up again
    _rest: bytearray = field(default_factory=bytearray)
    _after_return: bool = False  # the last event ended in \r, and a \n that belongs to it may come

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events (and comments) that this chunk completes. Raises TooLong."""
        if self._after_return and chunk:
            chunk, self._after_return = chunk.removeprefix(b"\n"), False
        look_from, begin, events = max(0, len(self._rest) - 3), 0, []
        self._rest += chunk
        while match := _BLANK_LINE.search(self._rest, max(look_from, begin)):
            events.append(bytes(self._rest[begin : match.end()]))
            begin = match.end()
        self._after_return = bool(events) and begin == len(self._rest) and events[-1].endswith(b"\r")
        del self._rest[:begin]
        if len(self._rest) > self.limit:
            raise TooLong
        self.numbered = self.numbered or any(_ID.search(raw) for raw in events)
        return events


# Two line ends in a row. A \r at the end of what is there may be half of \r\n: unless lines end in \r alone.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r(?=[^\n]))|\r\r\Z")
_ID = re.compile(rb"^id:", re.MULTILINE)
_LINE_END = re.compile(rb"\r\n|\n|\r")


def data_of(raw: bytes) -> bytes:
    """The data of an event; empty for a comment."""
    lines = (line.partition(b":") for line in _LINE_END.split(raw))
    return b"\n".join(value.removeprefix(b" ") for name, _, value in lines if name == b"data")


def with_data(raw: bytes, data: bytes) -> bytes:
    """The same event, id and type included, with other data of one line."""
    kept = [line for line in _LINE_END.split(raw) if line and not line.startswith(b"data")]
    return b"\r\n".join([*kept, b"data: " + data, b"", b""])


def event(data: bytes) -> bytes:
    """A message of one line as a server-sent event."""
    return b"event: message\r\ndata: " + data + b"\r\n\r\n"


PING = b": ping\r\n\r\n"
"""A comment that keeps an idle stream open; clients ignore it."""
PING_INTERVAL = 15.0
"""Seconds of silence before a ping."""
