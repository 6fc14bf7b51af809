"""A secret that is a broker's token: fetched before it is needed, and never used after its end.

In: the broker of agent.toml, and the other secrets, for what it is shown. Out: the current token, read from
any thread; None once it has expired. One task on the control loop asks for each token, so that at most one
request is under way. It asks again when between a sixth and a quarter of the token's life is left, at a
moment of its own, because replicas that started together must not come back together.

While the endpoint fails, a token that is still good stays in use. A server that refuses a token (401) has it
renewed; of others nobody takes it away meanwhile, or one server could take it from all.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..telemetry import log
from .declared import Secret
from .tokens import TokenEndpoint, TokenError, basic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..contract import Broker
    from .declared import Secrets

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0  # between two attempts that failed, doubling
LOCAL_PAUSE_S = 1.0  # where something is missing here, and nobody is asked
LONGEST_WAIT_S = 300.0  # however long an endpoint asks to be left alone
EARLY = (1 / 6, 1 / 4)  # of a token's life
UNSAID_S = 300.0  # renewed this often where nobody says how long a token lives
RENEWAL_PAUSE_S = 10.0  # a server that refuses every token must not make us ask for one at each call
LOOK_S = 15.0  # a machine that slept wakes up late for its timers

# Also counts while a laptop or a virtual machine sleeps.
now = functools.partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Lease:
    """A token, and in the time of `now` when the next one is fetched and when this one is over."""

    value: str = field(repr=False)
    renewal: float
    end: float
    since: float = 0.0  # of time.time(), for people


class MissingError(TokenError):
    """What the broker is to be shown is not there (yet)."""


class Brokered(Secret):
    """One token of one broker. `get` and `problem` are for every thread, the rest for the control loop."""

    __slots__ = ("_attempted", "_broker", "_endpoint", "_error", "_lease", "_refused", "_secrets", "_wanted")

    lasting = False

    def __init__(self, name: str, broker: Broker, secrets: Secrets) -> None:
        super().__init__(name)
        self._broker, self._secrets = broker, secrets
        self._endpoint = TokenEndpoint(broker, secrets.redact)
        self._lease: Lease | None = None  # replaced as a whole: readers see the one or the other
        self._error: str | None = None
        self._refused = -RENEWAL_PAUSE_S
        self._wanted, self._attempted = asyncio.Event(), asyncio.Event()

    def get(self) -> str | None:
        moment, lease = now(), self._lease  # in this order: a thread that stood still finds the newest one
        return lease.value if lease and moment < lease.end else None

    @property
    def changed(self) -> float | None:
        return self._lease.since if self._lease else None

    @property
    def expires(self) -> float | None:
        lease = self._lease
        return time.time() + lease.end - now() if lease and lease.end < float("inf") else None

    def problem(self) -> str | None:
        if self.get() is not None:
            return None
        over = "the token has expired; " if self._lease else ""
        return f"{self.name}: {over}{self._error or f'no token from {self._broker.token_url} yet'}"

    async def renew(self, used: str) -> bool:
        """Whether there is another token than `used`, which a server refused. Asks for one, at most once."""
        if self.get() == used and (self._wanted.is_set() or self._may_ask()):
            self._wanted.set()
            await self._attempted.wait()
        return self.get() not in (None, used)

    def _may_ask(self) -> bool:
        if self._error or now() - self._refused < RENEWAL_PAUSE_S:
            return False
        self._refused = now()
        return True

    # -- The task that asks ------------------------------------------------------------------------------

    async def keep(self) -> None:
        pauses = _pauses()
        while True:
            try:
                await self._fetch()
            except MissingError as error:
                self._fail(str(error))
                rest = LOCAL_PAUSE_S
            except TokenError as error:
                self._fail(str(error))
                rest = max(next(pauses), min(error.retry_s, LONGEST_WAIT_S))
            except Exception as error:  # noqa: BLE001 - what fails in a new way must not end the trying
                log.error("secret %s: no token", self.name, exc_info=True)
                self._fail(f"cannot ask {self._broker.token_url}: {type(error).__name__}")
                rest = next(pauses)
            else:
                pauses = _pauses()
                rest = self._lease.renewal - now() if self._lease else 0.0
            self._wanted.clear()
            self._attempted.set()
            self._attempted = asyncio.Event()
            await self._rest(rest)

    async def _fetch(self) -> None:
        """Replace the token. Raises TokenError."""
        secret, identity = self._client_secret(), await self._identity()
        asked = now()
        token = await self._endpoint.ask(secret, identity)
        self._secrets.learn(token.value)
        life = token.life_s
        early = 1 - random.uniform(*EARLY)  # noqa: S311 - a spread, not a secret
        renewal = asked + (UNSAID_S if life is None else life) * early
        first = self._lease is None or self._error is not None
        end = asked + (float("inf") if life is None else life)
        self._lease = Lease(token.value, renewal, end, time.time())
        self._error = None
        if first:
            good = "until it is refused" if life is None else f"for {life} s"
            log.info("secret %s: a token from %s, good %s", self.name, self._broker.token_url, good)

    def _fail(self, error: str) -> None:
        if error != self._error:
            left = "; its last token is still in use" if self.get() is not None else ""
            log.warning("secret %s: %s%s", self.name, error, left)
        self._error = error

    def _client_secret(self) -> str | None:
        name = self._broker.client_secret
        if name is None:
            return None
        if (secret := self._secrets.value(name)) is None:
            raise MissingError(f"needs the secret {name}, which is not there")
        self._secrets.learn(secret)
        self._secrets.learn(basic(self._broker.client_id, secret))
        return secret

    async def _identity(self) -> str | None:
        """The platform's token as it is now: it is exchanged for a new one every hour or so."""
        if self._broker.identity_token is None:
            return None
        path = Path(self._broker.identity_token)
        try:
            identity = (await asyncio.to_thread(path.read_text, "utf-8")).strip()
        except (OSError, UnicodeDecodeError):
            identity = ""
        if not identity:
            raise MissingError(f"no identity token in {path}")
        self._secrets.learn(identity)
        return identity

    async def _rest(self, seconds: float) -> None:
        """Wait, unless a server refuses the token meanwhile."""
        end = now() + seconds
        while (left := end - now()) > 0 and not self._wanted.is_set():
            try:
                async with asyncio.timeout(min(left, LOOK_S)):
                    await self._wanted.wait()
            except TimeoutError:
                continue


def _pauses() -> Iterator[float]:
    """Seconds before each next attempt."""
    for attempt in itertools.count():
        longest = min(FIRST_PAUSE_S * 2 ** min(attempt, 20), LONGEST_PAUSE_S)
        yield longest * random.uniform(0.8, 1.2)  # noqa: S311 - replicas must not ask in step
