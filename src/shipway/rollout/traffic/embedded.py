"""The router where there is no HAProxy: an ASGI app that splits traffic by the same rules, for development.

In: requests, a split. Out: the revision's own answers, passed on as they come; 503 where no revision is
ready. Its pins live in memory, as HAProxy's do. `check` looks after the backends until it is cancelled;
`apply` and the others may be called from any thread.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import httpx2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, StreamingResponse

from shipway.rollout.traffic.split import BODY_LIMIT, CHECK_S, CONVERSATION, SLOTS, Served
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from shipway.rollout.traffic.split import Backend, Slot, Split

PINS = 200_000
EVERY_S = 1.0
FALL = 3
"""Checks in a row that fail until a backend gets no more requests; one that succeeds brings it back."""

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)


class Embedded:
    """One router; implements Traffic."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backends: dict[Slot, Backend] = {}
        self._weights: dict[Slot, int] = dict.fromkeys(SLOTS, 0)
        self._credits: dict[Slot, int] = dict.fromkeys(SLOTS, 0)
        self._failures: dict[Slot, int] = dict.fromkeys(SLOTS, 0)
        self._pins: OrderedDict[str, Slot] = OrderedDict()
        self._total: dict[Slot, int] = dict.fromkeys(SLOTS, 0)
        self._active: dict[Slot, int] = dict.fromkeys(SLOTS, 0)
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(660.0, connect=3.0), limits=httpx2.Limits(), trust_env=False
        )

    # -- What a controller does --------------------------------------------------------------------------

    def apply(self, split: Split) -> None:
        """See Traffic."""
        with self._lock:
            backends = {backend.slot: backend for backend in (split.stable, split.canary) if backend}
            for slot, backend in backends.items():
                if self._backends.get(slot) != backend:
                    self._failures[slot] = 0
            self._backends = backends
            if split.weights != self._weights:
                self._weights = split.weights
                self._credits = dict.fromkeys(SLOTS, 0)
            if not split.stay:
                gone = [conversation for conversation, slot in self._pins.items() if not self._weights[slot]]
                for conversation in gone:
                    del self._pins[conversation]

    def served(self) -> dict[Slot, Served]:
        """See Traffic."""
        return {slot: Served(self._total[slot], self._active[slot], self._is_ready(slot)) for slot in SLOTS}

    def pins(self) -> dict[str, Slot]:
        """See Traffic."""
        with self._lock:
            return dict(self._pins)

    def pin(self, pins: dict[str, Slot]) -> None:
        """See Traffic."""
        with self._lock:
            for conversation, slot in pins.items():
                if CONVERSATION.fullmatch(conversation):
                    self._pins.setdefault(conversation, slot)

    async def check(self) -> None:
        """Ask the backends whether they are ready, again and again."""
        async with httpx2.AsyncClient(timeout=CHECK_S, trust_env=False) as client:
            while True:
                backends = list(self._backends.values())
                await asyncio.gather(*(self._check(client, backend) for backend in backends))
                await asyncio.sleep(EVERY_S)

    async def _check(self, client: httpx2.AsyncClient, backend: Backend) -> None:
        try:
            ready = (await client.get(f"{_url(backend)}/readyz")).status_code == 200
        except httpx2.HTTPError:
            ready = False
        if self._backends.get(backend.slot) == backend:  # another one may have its place by now
            self._failures[backend.slot] = 0 if ready else self._failures[backend.slot] + 1

    async def close(self) -> None:
        """End the connections to the backends."""
        await self._client.aclose()

    # -- What a request goes through ---------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # WebSockets of own ASGI applications: HAProxy passes them on
            await send({"type": "websocket.close", "reason": "without HAProxy this router has no WebSockets"})
            return
        request = Request(scope, receive)
        try:
            body = await _Body.read(request)
        except ClientDisconnect:
            return
        conversation = request.headers.get(contract.CONVERSATION_HEADER) or _conversation(body.whole)
        for _ in SLOTS:
            slot = self._choose(conversation)
            if slot is None:
                break
            try:
                await self._pass_on(slot, request, body, send)
                return
            except (
                httpx2.ConnectError,
                httpx2.ConnectTimeout,
            ):  # nothing was sent: the other one may have it
                self._failures[slot] = FALL
        error = {"code": "unavailable", "message": "no revision of the agent is ready"}
        await JSONResponse({"error": error}, 503, {"retry-after": "1"})(scope, receive, send)

    def _choose(self, conversation: str | None) -> Slot | None:
        """Where it is pinned, if that is ready; else by weight, and pinned there."""
        with self._lock:
            pinned = self._pins.get(conversation) if conversation else None
            slot = pinned if pinned and self._is_ready(pinned) else self._by_weight()
            if slot and conversation:
                self._remember(conversation, slot)
            return slot

    def _by_weight(self) -> Slot | None:
        """Smooth weighted round robin: as even as weights allow, however few conversations there are."""
        ready = [slot for slot in SLOTS if self._weights[slot] and self._is_ready(slot)]
        if not ready:
            return None
        for slot in ready:
            self._credits[slot] += self._weights[slot]
        chosen = max(ready, key=lambda slot: self._credits[slot])
        self._credits[chosen] -= sum(self._weights[slot] for slot in ready)
        return chosen

    def _is_ready(self, slot: Slot) -> bool:
        return slot in self._backends and self._failures[slot] < FALL

    def _remember(self, conversation: str, slot: Slot) -> None:
        if CONVERSATION.fullmatch(conversation):
            self._pins[conversation] = slot
            self._pins.move_to_end(conversation)
            while len(self._pins) > PINS:
                self._pins.popitem(last=False)

    async def _pass_on(self, slot: Slot, request: Request, body: _Body, send: Send) -> None:
        """Give the request to a revision, and its answer to the caller. Raises where it cannot connect."""
        self._total[slot] += 1
        self._active[slot] += 1
        try:
            async with self._client.stream(
                request.method,
                _url(self._backends[slot]) + _target(request),
                headers=[(k, v) for k, v in request.headers.raw if k.decode() not in _HOP_BY_HOP],
                content=body.parts(),
            ) as answer:
                if minted := answer.headers.get(contract.CONVERSATION_HEADER):
                    with self._lock:
                        self._remember(minted, slot)
                response = StreamingResponse(answer.aiter_raw(), answer.status_code)
                response.raw_headers = [
                    (k.lower(), v) for k, v in answer.headers.raw if k.lower().decode() not in _HOP_BY_HOP
                ]
                await response(request.scope, request.receive, send)
        finally:
            self._active[slot] -= 1


class _Body:
    """A request's body: its beginning, whole where it is small; the rest still to come where it is not."""

    def __init__(self, head: bytes, rest: AsyncIterator[bytes] | None) -> None:
        self._head, self._rest = head, rest
        self.whole = None if rest else head

    @classmethod
    async def read(cls, request: Request) -> _Body:
        stream = aiter(request.stream())
        head = b""
        async for part in stream:
            head += part
            if len(head) > BODY_LIMIT:
                return cls(head, stream)
        return cls(head, None)

    async def parts(self) -> AsyncIterator[bytes]:
        yield self._head
        if self._rest:
            async for part in self._rest:
                yield part


def _conversation(body: bytes | None) -> str | None:
    """The conversation that a body names: by the response that it goes on from, or by itself."""
    if not body:
        return None
    try:
        document = json.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    previous, named = document.get("previous_response_id"), document.get("conversation")
    if isinstance(previous, str) and (parsed := contract.parse_response_id(previous)):
        return parsed[0]
    if isinstance(named, dict):
        named = named.get("id")
    return named if isinstance(named, str) and CONVERSATION.fullmatch(named) else None


def _url(backend: Backend) -> str:
    return f"http://{backend.host}:{backend.port}"


def _target(request: Request) -> str:
    query = request.url.query
    path: bytes = request.scope["raw_path"]
    return path.decode() + (f"?{query}" if query else "")
