"""A recorded stream, event by event.

In: chunks, which may hold several events or a part of one. Out: one chunk an event, sent when its last byte
was; the same bytes in the same order.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shipway.replay.apis.provider import Events

_BORDER = re.compile(r"\r?\n\r?\n")
_DATA = re.compile(r"(?m)^data: ?(.*)$")


def split(events: Events) -> Events:
    """One chunk an event. What is behind the last border is a chunk of its own."""
    return tuple(_frames(events))


def _frames(events: Events) -> Iterator[tuple[float, str]]:
    waiting, offset = "", 0.0
    for offset, text in events:
        waiting, begin = waiting + text, 0
        for border in _BORDER.finditer(waiting):
            yield offset, waiting[begin : border.end()]
            begin = border.end()
        waiting = waiting[begin:]
    if waiting:
        yield offset, waiting


def change(event: str, write: Callable[[str], str]) -> str:
    """The event with another text behind `data:`."""
    return _DATA.sub(lambda found: f"data: {write(found[1])}", event, count=1)


def change_json(event: str, write: Callable[[Any], Any]) -> str:
    """The event with another JSON value; one that holds none stays as it is."""

    def rewrite(text: str) -> str:
        try:
            return json.dumps(write(json.loads(text)), ensure_ascii=False)
        except ValueError:
            return text

    return change(event, rewrite)
