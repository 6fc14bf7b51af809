"""A request as it arrives, the answer as it leaves, and what stands between the two.

In: nothing; these are the types. `Answerer` is the seam: what a tape plays (player.py) and what the real API
says, recorded on its way (recording/), are siblings; what only watches or spoils an answer wraps another
Answerer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from shipway.replay.apis.provider import Events
from shipway.replay.exchange import Request

Live = AsyncGenerator[tuple[float, bytes], None]
"""(milliseconds since the request, bytes), as they come; raises BrokenError where the connection broke.

Whoever takes one closes it, at its end or before.
"""


class BrokenError(Exception):
    """The connection that an answer comes from broke within it."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came. `request` is what of it is compared and stored; `headers` have lower-case names.

    `target` is the path with its query, as it was sent; `content` the body's bytes.
    """

    request: Request
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: `body` as JSON, or the bytes of `content`, or the chunks of `events` or `live`.

    `source` is the file, or the file and line of a scripted reply; empty for a miss. `speed` is the pace of
    `events`: None at once, 1.0 as recorded. `delay_s` passes before the first byte. With `cut`, the
    connection breaks where the answer would end; without `status`, before anything is sent.
    """

    source: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    events: Events | None = None
    live: Live | None = None
    speed: float | None = None
    delay_s: float = 0.0
    cut: bool = False
    fault: str = ""
    """The kind of fault that was put into it, and who asked for it."""
    near: str = ""
    """Where nobody recorded the answer: the file that comes closest, and the paths in which it differs."""
    differs: tuple[str, ...] = ()
    note: str = ""
    """For people, on stderr."""


class Answerer(Protocol):
    async def answer(self, incoming: Incoming) -> Answer: ...
