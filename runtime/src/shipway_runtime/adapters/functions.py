"""Plain functions: `async def agent(messages, ctx)` that returns a text or yields pieces of one.

In: a function, a method or a callable object; async or not; with `ctx` or without. Out: an async generator
of pieces. One that is not async runs in a thread of its own, so it may block, and a thread that never ends
cannot keep the process from exiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..dialogue import Dialogue, Memory, Piece, ToolCall, ToolResult, Usage
from .kinds import Conversational

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from ..context import Context

EXPECTED = "`async def agent(messages, ctx)` that returns a text"
PIECES = (str, ToolCall, ToolResult, Usage, Memory)
_END = object()


def recognises(agent: Any) -> bool:
    """Whether it can be called with messages, or with messages and a context."""
    return callable(agent) and not inspect.isclass(agent) and _takes_context(agent) is not None


def adapt(function: Any) -> Conversational:
    takes_context = _takes_context(function)
    is_async = any(map(_is_async, (function, getattr(function, "__call__", None))))  # noqa: B004

    async def agent(dialogue: Dialogue, ctx: Context) -> AsyncGenerator[Piece, None]:
        messages = dialogue.messages
        call = functools.partial(function, *((messages, ctx) if takes_context else (messages,)))
        if is_async:
            result = call()
        else:
            [result] = [made async for made in _in_thread(lambda: [call()])]
        if inspect.isawaitable(result):
            result = await result
        async with contextlib.aclosing(_stream(result)) as pieces:
            async for piece in pieces:
                if not isinstance(piece, PIECES):
                    raise TypeError(f"the agent gave a {type(piece).__qualname__}; expected text")
                yield piece

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


async def _stream(result: Any) -> AsyncGenerator[Any, None]:
    """What a function returned, as a stream of pieces; its generator is closed with this one."""
    if hasattr(result, "__aiter__"):
        try:
            async for piece in result:
                yield piece
        finally:
            if hasattr(result, "aclose"):
                await result.aclose()
    elif hasattr(result, "__next__"):
        async with contextlib.aclosing(_in_thread(lambda: result)) as pieces:
            async for piece in pieces:
                yield piece
    else:
        yield result


async def _in_thread(produce: Callable[[], Iterable[Any]]) -> AsyncGenerator[Any, None]:
    """What `produce` gives, in a thread that may block. Once nobody wants more it ends at its next piece."""
    loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Any]()
    unwanted = threading.Event()

    def put(item: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process ends
            loop.call_soon_threadsafe(pieces.put_nowait, item)

    def work() -> None:
        try:
            for piece in produce():
                if unwanted.is_set():
                    return
                put(piece)
            put(_END)
        except BaseException as error:  # noqa: BLE001 - crosses over to the turn
            put(_Failure(error))

    threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
    try:
        while (item := await pieces.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        unwanted.set()


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException
