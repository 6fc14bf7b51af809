"""What a client posted: one JSON-RPC message, or a batch of them as 2025-03-26 has it.

In: a body. Out: its messages; which of them wait for an answer; the same again as a body, with nothing in it
that was not looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .messages import INVALID_REQUEST, Json, RpcError, decode, encode, is_request

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 1000  # messages in one batch
_LOOKED_AT = frozenset({"method", "params", "name", "id"})


@dataclass(frozen=True, slots=True)
class Posted:
    """`batch` says whether the client sent an array, and so expects one. Empty for a GET or DELETE."""

    messages: tuple[Json, ...] = ()
    batch: bool = False

    @property
    def requests(self) -> tuple[Json, ...]:
        """The messages that are to be answered."""
        return tuple(message for message in self.messages if is_request(message))

    @property
    def method(self) -> str:
        """The method of a single message; empty for a batch, an answer, or nothing at all."""
        return str(self.messages[0].get("method", "")) if self.messages and not self.batch else ""

    def without(self, check: Callable[[Json], None]) -> tuple[Posted, list[tuple[Json, RpcError]]]:
        """The messages that pass `check`, and the others with what it raised."""
        kept, refused = [], []
        for message in self.messages:
            try:
                check(message)
                kept.append(message)
            except RpcError as error:
                refused.append((message, error))
        return Posted(tuple(kept), self.batch), refused

    def encode(self) -> bytes:
        return encode(list(self.messages) if self.batch else self.messages[0])  # type: ignore[arg-type]


def parse(body: bytes) -> Posted:
    """Raises RpcError for what is neither a message nor an array of some."""
    if body[:64].lstrip()[:1] != b"[":
        return Posted((decode(body),))
    items = _array(body)
    if not 0 < len(items) <= _MOST:
        raise RpcError(INVALID_REQUEST, f"expected 1 to {_MOST} messages in a batch, saw {len(items)}")
    return Posted(tuple(decode(encode(item)) for item in items), batch=True)


def _array(body: bytes) -> list[Any]:
    try:
        items: list[Any] = json.loads(body)
    except (ValueError, RecursionError):
        decode(body)  # raises, and says it as it does for one message
        raise AssertionError("unreachable") from None
    return items


def check_spelling(message: Json) -> None:
    """Raises RpcError for a member that some servers take for the one which the tool filter looks at.

    Go's JSON ignores case: {"name": "allowed", "Name": "denied"} would call the denied tool.
    """
    for members in (message, message.get("params") or {}):
        for name in members:
            if name not in _LOOKED_AT and name.casefold() in _LOOKED_AT:
                raise RpcError(INVALID_REQUEST, f"expected {name.casefold()!r} in lower case, saw {name!r}")
