"""Cases, taken side by side, and what comes of each as it is done.

In: cases, what is to be done with one, how many at once. Out: what that gave, in the order in which it is
done. Who stops asking for more stops the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from shipway.evals.case import Case

Done = TypeVar("Done")


async def run(
    cases: Sequence[Case],
    one: Callable[[Case], Awaitable[Done]],
    concurrency: int,
    ahead: float = math.inf,
) -> AsyncGenerator[Done, None]:
    """What `one` gives for each case, `concurrency` of them at once, and none is begun that is more than
    `ahead` cases past one that still runs. Raises what `one` raises."""
    running: dict[asyncio.Future[Done], int] = {}
    done: set[asyncio.Future[Done]] = set()
    begun = 0
    try:
        while True:
            oldest = min(running.values(), default=begun)
            while begun < len(cases) and len(running) < concurrency and begun - oldest <= ahead:
                running[asyncio.ensure_future(one(cases[begun]))] = begun
                begun += 1
            if not running:
                return
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del running[task]
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*running, *done, return_exceptions=True)
