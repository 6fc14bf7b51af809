"""What a client is to get for what it posted, and what of it is still open.

In: the server's bodies and events. Out: the same as the client may see them, without denied tools, and beside
them the relay's own refusals of single messages in a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import posted as posts
from ..framing import data_of, event, with_data
from ..messages import Json, RpcError, encode, is_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..calls import Call
    from ..posted import Posted
    from ..tools import Tools


class Answers:
    """`refused`: messages that were not passed on, with the reason; `open`: methods of requests, by id."""

    def __init__(self, tools: Tools, posted: Posted, refused: Iterable[tuple[Json, RpcError]] = ()) -> None:
        self.posted = posted
        self.refused = [(message, error) for message, error in refused if is_request(message)]
        self.open = {message["id"]: message["method"] for message in posted.requests}
        self.calls: dict[Any, Call] = {}  # of the requests that are measured, by id
        self._tools = tools

    @property
    def own(self) -> list[Json]:
        """The relay's own answers."""
        return [error.answer(message["id"]) for message, error in self.refused]

    def failed(self, error: RpcError) -> list[Json]:
        """An answer with this error to each request that has none."""
        for number in self.open.keys() & self.calls.keys():
            self.calls[number].failed(error)
        return [error.answer(number) for number in self.open]

    def event(self, raw: bytes) -> bytes:
        """One event of the server's, as the client may see it."""
        if not (self.open or (self._tools.filters and not self.posted.messages)):
            return raw
        try:
            said = posts.parse(data_of(raw))
        except RpcError:
            return raw  # a comment, or something that is the client's to judge
        shown = [self._show(message) for message in said.messages]
        if _same(shown, said.messages):
            return raw
        return with_data(raw, posts.Posted(tuple(shown), said.batch).encode())

    def own_events(self, error: RpcError | None = None) -> list[bytes]:
        """The relay's own answers as events; with `error`, those to the requests that are open."""
        return [event(encode(answer)) for answer in (self.failed(error) if error else self.own)]

    def body(self, content: bytes) -> bytes:
        """A whole body with every answer in it. Raises RpcError when it is not the answer."""
        said = posts.parse(content)
        shown = [self._show(message) for message in said.messages]
        if not self.own and _same(shown, said.messages):
            return content
        return posts.Posted((*shown, *self.own), said.batch or bool(self.own)).encode()

    def _show(self, message: Json) -> Json:
        """A message of the server's; the request that it answers is not open any more."""
        if "method" in message:
            return message
        method = self.open.pop(message.get("id"), None)
        if method and (call := self.calls.get(message["id"])):
            call.answered(message)
        if not self.posted.messages:
            method = "tools/list"  # a stream taken up again: which of its results are lists of tools shows
        if method is None or not isinstance(result := message.get("result"), dict):
            return message
        kept = self._tools.show(method, result)
        return message if kept is result else {**message, "result": kept}


def _same(shown: Sequence[Json], said: Sequence[Json]) -> bool:
    return all(new is old for new, old in zip(shown, said, strict=True))
