"""The user's function, and what may come back from it.

In: a `Sample`. Out: a score from 0 to 1, or None, where the function has no opinion. Errors: ScoreError, with
the reason; whatever went wrong, there is no score then, and never a good one.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sample import Sample

AT_ONCE = 4
"""Turns that are scored at the same time."""
SCORE_S = 20.0
"""How long the function may take for one of them."""


class ScoreError(Exception):
    """There is no score; the message says why."""


class Scorer:
    """`function`, called: on the loop when it is async, else in a thread."""

    def __init__(self, function: Callable[[Sample], Any]) -> None:
        self._function = function
        call = getattr(function, "__call__", None)  # noqa: B004 - of an object, its method
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
        self._threads = ThreadPoolExecutor(AT_ONCE, "scorer")

    async def score(self, sample: Sample) -> float | None:
        """What the function says. Raises ScoreError, its cause being what the function raised."""
        try:
            return check(await self._call(sample))
        except ScoreError:
            raise
        except (Exception, SystemExit) as error:
            raise ScoreError(f"{type(error).__name__}: {error}") from error

    async def _call(self, sample: Sample) -> Any:
        """One in a thread cannot be stopped, and has no bound here: whoever waits for this process has."""
        if not self._is_async:
            run = asyncio.get_running_loop().run_in_executor
            found = await run(self._threads, self._function, sample)
            return await found if isinstance(found, Awaitable) else found
        bound = asyncio.timeout(SCORE_S)
        try:
            async with bound:
                return await self._function(sample)
        except TimeoutError:
            if bound.expired():
                raise ScoreError(f"it took longer than {SCORE_S:g} s") from None
            raise


def check(found: Any) -> float | None:
    """A score, if it is one. Raises ScoreError."""
    if found is None:
        return None
    if isinstance(found, Real) and 0 <= float(found) <= 1:
        return float(found)
    shown = repr(found)[:80]
    raise ScoreError(f"it returned {shown}; expected a number from 0 to 1, or None for no opinion")
