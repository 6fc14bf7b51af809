"""Plain functions: `async def agent(messages, ctx)` that returns a text or yields pieces of one.

In: a function, a method or a callable object; async or not; with `ctx` or without. Out: an async generator
of pieces. One that is not async runs in a thread of its own for the whole turn, so it may block, and a
thread that never ends cannot keep the process from exiting.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any

from .kinds import Conversational

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from ..context import Context
    from ..conversations import Message

EXPECTED = "`async def agent(messages, ctx)` that returns a text"
_END = object()


def recognises(agent: Any) -> bool:
    """Whether it can be called with messages, or with messages and a context."""
    return callable(agent) and not inspect.isclass(agent) and _takes_context(agent) is not None


def adapt(function: Any) -> Conversational:
    takes_context = _takes_context(function)
    is_async = any(map(_is_async, (function, getattr(function, "__call__", None))))  # noqa: B004

    async def agent(messages: list[Message], ctx: Context) -> AsyncGenerator[str, None]:
        arguments = (messages, ctx) if takes_context else (messages,)
        if not is_async:
            async for piece in _in_thread(function, arguments):
                yield piece
            return
        result = function(*arguments)
        if inspect.isawaitable(result):
            result = await result
        if hasattr(result, "__aiter__"):
            async for piece in result:
                yield _text(piece)
        else:
            yield _text(result)

    return Conversational(agent)


def _takes_context(function: Any) -> bool | None:
    """Whether the second parameter is the context; None for a signature that does not fit."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [
        p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if not positional or len(needed) > 2 or any(p not in positional[:2] for p in needed):
        return None
    return len(positional) > 1 and (positional[1] in needed or positional[1].name in ("ctx", "context"))


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _text(piece: object) -> str:
    if not isinstance(piece, str):
        raise TypeError(f"the agent gave a {type(piece).__qualname__}; expected text")
    return piece


async def _in_thread(function: Callable[..., Any], arguments: tuple[Any, ...]) -> AsyncGenerator[str, None]:
    """The pieces of a function that blocks. Once nobody wants them it ends at its next piece."""
    loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Any]()
    unwanted = threading.Event()

    def put(item: object) -> None:
        loop.call_soon_threadsafe(pieces.put_nowait, item)

    def work() -> None:
        try:
            result = function(*arguments)
            for piece in [result] if isinstance(result, str) else _iterable(result):
                if unwanted.is_set():
                    return
                put(_text(piece))
            put(_END)
        except BaseException as error:  # noqa: BLE001 - crosses over to the turn
            put(error)

    threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
    try:
        while (item := await pieces.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        unwanted.set()


def _iterable(result: object) -> Iterable[object]:
    return result if hasattr(result, "__next__") else [result]  # type: ignore[return-value]
