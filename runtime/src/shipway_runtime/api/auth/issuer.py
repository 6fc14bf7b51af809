"""An issuer's key set, kept current.

In: its URL. Out: `current`, what it published last. It is fetched at start, every five minutes, and once more
when a token names a key that is not there, at most once in ten seconds however many do. While the issuer is
away its last keys stay in use.

`keep` runs on the control loop, where every fetch is made; `current` may be read, and `look_again` awaited,
from any thread.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import TYPE_CHECKING, Any

from ... import client
from ...telemetry import log
from .published import KeySetError, Published, read

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERVAL_S = 300.0
PAUSE_S = 10.0  # between two fetches for keys that are not known: anybody can make up a name
TIMEOUT_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # between two attempts that failed, doubling
MAX_ANSWER = 2**18  # bytes


class Issuer:
    """`url` is where the key set is."""

    def __init__(self, url: str, *, interval_s: float = INTERVAL_S, pause_s: float = PAUSE_S) -> None:
        self.url, self._interval_s, self._pause_s = url, interval_s, pause_s
        self.current: Published | None = None  # replaced as a whole: readers see the one or the other
        self.fetched: float | None = None
        """When the keys were last fetched; seconds since the epoch."""
        self.error: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._looked = float("-inf")

    def problem(self) -> str | None:
        """Why no token can be verified; None when all is well."""
        if self.current is None:
            return self.error or f"no key set from {self.url} yet"
        return None if self.current.keys else f"{self.url} has no key that can verify a token"

    async def keep(self) -> None:
        """Fetch for as long as the process runs."""
        self._loop, pauses = asyncio.get_running_loop(), _pauses()
        while True:
            await self._fetch_once()
            if self.error is None:
                pauses, rest = _pauses(), self._interval_s
            else:
                rest = next(pauses)
            await asyncio.sleep(rest * random.uniform(0.8, 1.2))  # noqa: S311 - replicas must not ask in step

    async def look_again(self) -> None:
        """Fetch now, for a key that is not known, unless that was done just now."""
        if self._loop is None or (self._fetching is None and time.monotonic() < self._looked + self._pause_s):
            return
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._look_again(), self._loop))

    # -- On the control loop -----------------------------------------------------------------------------

    async def _look_again(self) -> None:
        if self._fetching is None:
            if time.monotonic() < self._looked + self._pause_s:
                return
            self._looked = time.monotonic()
        await self._fetch_once()

    async def _fetch_once(self) -> None:
        """One fetch is under way at most, and whoever gives up waiting does not end it for others."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        await asyncio.shield(self._fetching)

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            published = await self._ask()
        except client.ClientError as error:
            self._fail(f"{error}: {error.words}" if error.words else str(error))
        except KeySetError as error:
            self._fail(f"{self.url} {error}")
        except Exception as error:  # noqa: BLE001 - what fails in a new way must not end the trying
            log.error("api.jwks: the key set cannot be fetched", exc_info=True)
            self._fail(f"{self.url}: {type(error).__name__}")
        else:
            self._take(published)

    async def _ask(self) -> Published:
        answer = await client.request("GET", self.url, {}, limit=MAX_ANSWER, timeout_s=TIMEOUT_S)
        if 300 <= answer.status < 400:
            raise KeySetError(f"answered HTTP {answer.status}; redirects are not followed, set the final URL")
        if answer.status != 200:
            raise KeySetError(f"answered HTTP {answer.status}")
        if self.current and answer.content == self.current.text:
            return self.current
        return await asyncio.to_thread(read, answer.content)

    def _take(self, published: Published) -> None:
        if published is not self.current or self.error:
            names = ", ".join(str(key.kid) for key in published.keys) or "none that can be used"
            left_out = f"; {published.unusable} others are left out" if published.unusable else ""
            log.info("api.jwks: keys of %s: %s%s", self.url, names, left_out)
        self.current, self.fetched, self.error = published, time.time(), None

    def _fail(self, error: str) -> None:
        if error != self.error:
            log.warning("api.jwks: %s%s", error, "; its last keys stay in use" if self.current else "")
        self.error = error

    def detail(self) -> dict[str, Any]:
        """For /readyz: whose keys, which, since when, and what is wrong although they are still in use."""
        keys = [key.kid for key in self.current.keys] if self.current else []
        return {"jwks": {"url": self.url, "keys": keys, "fetched": self.fetched, "error": self.error}}


def _pauses() -> Iterator[float]:
    for attempt in itertools.count():
        yield min(FIRST_PAUSE_S * 2 ** min(attempt, 20), LONGEST_PAUSE_S)
