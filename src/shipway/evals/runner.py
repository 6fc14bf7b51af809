"""Cases, taken side by side, and what comes of each as it is done.

In: cases, what is to be done with one, how many at once. Out: what that gave, in the order in which it is
done. Who stops asking for more stops the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from shipway.evals.case import Case

Done = TypeVar("Done")


async def run(
    cases: Sequence[Case], one: Callable[[Case], Awaitable[Done]], concurrency: int
) -> AsyncGenerator[Done, None]:
    """What `one` gives for each case, `concurrency` of them at once. Raises what `one` raises."""
    waiting = iter(cases)
    running: set[asyncio.Future[Done]] = set()
    done: set[asyncio.Future[Done]] = set()
    try:
        while True:
            for case in waiting:
                running.add(asyncio.ensure_future(one(case)))
                if len(running) >= concurrency:
                    break
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*running, *done, return_exceptions=True)
