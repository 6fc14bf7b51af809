"""HTTP clients that are watched: one function a client, one line in CLIENTS.

In: a `Watch`. Out: clients that tell it of their exchanges with a model, and raise their own error for a
stream that lacks its end. Nothing is imported for that: a client that is there already is changed now, any
other one right after somebody has imported it. What goes elsewhere than to a model costs a look at its URL.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..contract import REPLAY_HEADER
from ..health.faults import marked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from ..health.faults import Fault
    from .watching import Exchange, Watch

_sending: ContextVar[bool] = ContextVar("shipway_sending", default=False)
"""Whether a client of httpx is at it: its transport may be aiohttp, and an exchange counts once."""
EXCHANGE = "shipway"  # in `Response.extensions` of httpx, which is for things like that


def install(watch: Watch) -> None:
    """Watch every client of CLIENTS, those that are imported later as well. Call it once."""
    finder = _Finder(watch)
    sys.meta_path.insert(0, finder)
    for name in CLIENTS:
        if name in sys.modules:
            finder.change(importlib.import_module(name))  # another thread may be at it: waits for that


class _Finder:
    """Finds nothing itself: it has a client's module changed once that has been run."""

    def __init__(self, watch: Watch) -> None:
        self._watch, self._lock = watch, threading.Lock()
        self._changed = set[str]()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in CLIENTS:
            return None
        others = (f for f in sys.meta_path if f is not self and hasattr(f, "find_spec"))
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def run_and_change(module: ModuleType) -> None:
                run(module)
                self.change(module)

            spec.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return spec

    def change(self, module: ModuleType) -> None:
        with self._lock:
            if module.__name__ not in self._changed:
                self._changed.add(module.__name__)
                CLIENTS[module.__name__](module, self._watch)


# -- httpx and httpx2 ----------------------------------------------------------------------------------------


def _httpx(module: Any, watch: Watch) -> None:
    """Every request goes through `send` of a client, and every reader of a body through `iter_bytes` of its
    response, after decompression, whatever transport is below."""
    _send(module, watch)
    _send_async(module, watch)
    _iterate(module.Response, module.RemoteProtocolError)


def _send(module: Any, watch: Watch) -> None:
    send = module.Client.send

    @functools.wraps(send)
    def watched(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if (exchange := watch.open(str(request.url))) is None:
            return send(self, request, *args, **kwargs)
        try:
            response = send(self, request, *args, **kwargs)
        except module.RequestError as error:
            exchange.broke(error)
            raise
        if refusal := exchange.refusal(response.headers.get(REPLAY_HEADER)):
            response.close()
            raise marked(module.RemoteProtocolError(str(refusal), request=request), refusal)
        if fault := _note(exchange, response):
            raise marked(module.RemoteProtocolError(str(fault), request=request), fault)
        return response

    module.Client.send = watched


def _send_async(module: Any, watch: Watch) -> None:
    send = module.AsyncClient.send

    @functools.wraps(send)
    async def watched(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if (exchange := watch.open(str(request.url))) is None:
            return await send(self, request, *args, **kwargs)
        outer = _sending.set(True)
        try:
            response = await send(self, request, *args, **kwargs)
        except module.RequestError as error:
            exchange.broke(error)
            raise
        finally:
            _sending.reset(outer)
        if refusal := exchange.refusal(response.headers.get(REPLAY_HEADER)):
            await response.aclose()
            raise marked(module.RemoteProtocolError(str(refusal), request=request), refusal)
        if fault := _note(exchange, response):
            raise marked(module.RemoteProtocolError(str(fault), request=request), fault)
        return response

    module.AsyncClient.send = watched


def _note(exchange: Exchange, response: Any) -> Fault | None:
    """Take an answer's head into account, and a stream that was read as a whole already."""
    if exchange.answered(response.status_code, response.headers):
        if not response.is_stream_consumed:
            response.extensions[EXCHANGE] = exchange
            return None
        exchange.read(response.content)
        return exchange.ended()
    return None


def _iterate(response: Any, failure: Any) -> None:
    iterate, iterate_async = response.iter_bytes, response.aiter_bytes

    @functools.wraps(iterate)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        pieces, exchange = iterate(self, *args, **kwargs), self.extensions.get(EXCHANGE)
        return pieces if exchange is None else _pieces(pieces, exchange, self.request, failure)

    @functools.wraps(iterate_async)
    def watched_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        pieces, exchange = iterate_async(self, *args, **kwargs), self.extensions.get(EXCHANGE)
        return pieces if exchange is None else _pieces_async(pieces, exchange, self.request, failure)

    response.iter_bytes, response.aiter_bytes = watched, watched_async


def _pieces(
    pieces: Generator[bytes, None, None], exchange: Exchange, request: Any, failure: Any
) -> Generator[bytes, None, None]:
    try:
        with contextlib.closing(pieces):
            for piece in pieces:
                exchange.read(piece)
                yield piece
    except Exception as error:
        exchange.broke(error)
        raise
    except BaseException:
        exchange.left()
        raise
    if fault := exchange.ended():
        raise marked(failure(str(fault), request=request), fault)


async def _pieces_async(
    pieces: AsyncGenerator[bytes, None], exchange: Exchange, request: Any, failure: Any
) -> AsyncGenerator[bytes, None]:
    try:
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                exchange.read(piece)
                yield piece
    except Exception as error:
        exchange.broke(error)
        raise
    except BaseException:
        exchange.left()
        raise
    if fault := exchange.ended():
        raise marked(failure(str(fault), request=request), fault)


# -- aiohttp -------------------------------------------------------------------------------------------------


def _aiohttp(module: Any, watch: Watch) -> None:
    request = module.ClientSession._request  # what every method of a session and `aiohttp.request` come to

    @functools.wraps(request)
    async def watched(self: Any, method: str, url: Any, *args: Any, **kwargs: Any) -> Any:
        base = getattr(self, "_base_url", None)
        asked = str(base.join(url) if base else url)
        if _sending.get() or (exchange := watch.open(asked)) is None:
            return await request(self, method, url, *args, **kwargs)
        try:
            response = await request(self, method, url, *args, **kwargs)
        except (module.ClientError, TimeoutError) as error:
            exchange.broke(error)
            raise
        if refusal := exchange.refusal(response.headers.get(REPLAY_HEADER)):
            response.close()
            raise marked(module.ClientPayloadError(str(refusal)), refusal)
        if exchange.answered(response.status, response.headers):
            response.content = _Content(response.content, exchange, module.ClientPayloadError)
        return response

    module.ClientSession._request = watched


class _Content:
    """A `StreamReader` of aiohttp, watched. Its iterators read through the methods of this one."""

    def __init__(self, content: Any, exchange: Exchange, failure: Any) -> None:
        self._content, self._exchange, self._failure = content, exchange, failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def _watched(self, reading: Any, *, whole: bool = False) -> Any:
        try:
            found = await reading
        except Exception as error:
            self._exchange.broke(error)
            raise
        piece = found[0] if isinstance(found, tuple) else found  # `readchunk` tells of boundaries, too
        self._exchange.read(piece)
        over = whole or (not piece and self._content.at_eof())
        if over and (fault := self._exchange.ended()):
            raise marked(self._failure(str(fault)), fault)
        return found

    def read(self, n: int = -1) -> Any:
        return self._watched(self._content.read(n), whole=n < 0)

    def readany(self) -> Any:
        return self._watched(self._content.readany())

    def readline(self, *args: Any, **kwargs: Any) -> Any:
        return self._watched(self._content.readline(*args, **kwargs))

    def readuntil(self, *args: Any, **kwargs: Any) -> Any:
        return self._watched(self._content.readuntil(*args, **kwargs))

    def readchunk(self) -> Any:
        return self._watched(self._content.readchunk())

    def iter_any(self) -> Any:
        return type(self._content).iter_any(self)

    def iter_chunked(self, n: int) -> Any:
        return type(self._content).iter_chunked(self, n)

    def iter_chunks(self) -> Any:
        return type(self._content).iter_chunks(self)

    def __aiter__(self) -> Any:
        return type(self._content).__aiter__(self)


CLIENTS: dict[str, Callable[[Any, Watch], None]] = {"httpx": _httpx, "httpx2": _httpx, "aiohttp": _aiohttp}
"""What each client is changed by, once its module is there. Beside them nothing is watched: requests, urllib3
and botocore, Node, gRPC."""
