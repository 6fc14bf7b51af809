"""Load on MCP servers, directly or through a relay, and what it shows.

In: ways to a server, each a function that makes a conversation. Out: seconds of a call, calls a second,
seconds until a server that was killed answers again. Ways are measured in turns, so that a slow minute of
the machine is everybody's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conversations import Conversation, Failed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Ways = Mapping[str, Callable[[], Conversation]]

TEXT = "x" * 100
CONVERSATIONS = 100
_TURN_S = 1.0  # of one way in a round of latencies
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Latency:
    """Seconds of a call."""

    p50: float
    p99: float

    def beyond(self, direct: Latency) -> Latency:
        """What a relay adds: the differences of the percentiles."""
        return Latency(self.p50 - direct.p50, self.p99 - direct.p99)


async def latencies(ways: Ways, rounds: int = 5, calls: int = 200) -> dict[str, Latency]:
    """One conversation, one call after another; the first round does not count."""
    samples: dict[str, list[float]] = {name: [] for name in ways}
    conversations = {name: make() for name, make in ways.items()}
    try:
        for conversation in conversations.values():
            await conversation.open()
        for nth in range(rounds + 1):
            for name, conversation in conversations.items():
                taken = await _take_turn(conversation, calls)
                samples[name] += taken if nth else []
    finally:
        await asyncio.gather(*(conversation.close() for conversation in conversations.values()))
    return {name: _latency(values) for name, values in samples.items()}


async def _take_turn(conversation: Conversation, calls: int) -> list[float]:
    taken: list[float] = []
    end = time.perf_counter() + _TURN_S
    while len(taken) < calls and (began := time.perf_counter()) < end:
        await conversation.call("echo", text=TEXT)
        taken.append(time.perf_counter() - began)
    return taken


def _latency(values: list[float]) -> Latency:
    return Latency(statistics.median(values), statistics.quantiles(values, n=100)[98])


async def rates(ways: Ways, rounds: int = 2, seconds: float = 2.0) -> dict[str, float]:
    """Calls a second of many conversations at once; the first round does not count."""
    crowds = {name: [make() for _ in range(CONVERSATIONS)] for name, make in ways.items()}
    found: dict[str, list[float]] = {name: [] for name in ways}
    try:
        for crowd in crowds.values():
            for conversation in crowd:
                await conversation.open()
        for _ in range(rounds + 1):
            for name, crowd in crowds.items():
                found[name].append(await _rate(name, crowd, seconds))
    finally:
        everybody = (conversation for crowd in crowds.values() for conversation in crowd)
        await asyncio.gather(*(conversation.close() for conversation in everybody))
    return {name: statistics.median(values[1:]) for name, values in found.items()}


async def _rate(name: str, crowd: list[Conversation], seconds: float) -> float:
    began = time.perf_counter()
    counts = await asyncio.gather(*(_count(name, conversation, began + seconds) for conversation in crowd))
    return sum(counts) / (time.perf_counter() - began)


async def _count(name: str, conversation: Conversation, end: float) -> int:
    count = 0
    while time.perf_counter() < end:
        if await conversation.call("echo", text=TEXT) != TEXT:
            raise SystemExit(f"{name}: a conversation got another one's answer")
        count += 1
    return count


# -- Recovery ------------------------------------------------------------------------------------------------


async def recovery(
    make: Callable[[], Conversation], pid: Callable[[], int], restart: Callable[[], Awaitable[float]] | None
) -> float | None:
    """Seconds from the kill of a server under load to the next call that a new process answers.

    With `restart`, who starts it again: it returns when the new server answers by itself, in
    time.perf_counter(), and seconds count from then. None when no call is answered within ten seconds.
    """
    conversations = [make() for _ in range(10)]
    for conversation in conversations:
        await conversation.open()
    killed, back = pid(), asyncio.get_running_loop().create_future()
    load = [asyncio.create_task(_knock(each, str(killed), back)) for each in conversations]
    try:
        await asyncio.sleep(0.5)
        os.kill(killed, signal.SIGKILL)
        began = time.perf_counter()
        if restart:
            began = await restart()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                return max(0.0, await back - began)
        return None
    finally:
        for task in load:
            task.cancel()
        await asyncio.wait(load)
        await asyncio.gather(*(conversation.close() for conversation in conversations))


async def _knock(conversation: Conversation, killed: str, back: asyncio.Future[float]) -> None:
    while not back.done():
        with contextlib.suppress(Failed, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S / 2):
                said = await conversation.call("pid")
            if said != killed and not back.done():
                back.set_result(time.perf_counter())
        await asyncio.sleep(0.005)


async def answering(make: Callable[[], Conversation]) -> float:
    """When a server that is being started gives its first answer, in time.perf_counter()."""
    conversation = make()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                with contextlib.suppress(Failed):
                    await conversation.call("pid")
                    return time.perf_counter()
                await asyncio.sleep(0.002)
    finally:
        await conversation.close()
