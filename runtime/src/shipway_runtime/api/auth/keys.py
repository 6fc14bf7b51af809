"""[api] auth = "keys": a key names the tenant.

In: the secret that holds the keys' digests. Out: the caller of a request. The secret is looked at once a
second at most, so a key that is added or taken away counts from then on; its text is read again when it has
changed. What cannot be read keeps the last good keys.

A key is looked up by its SHA-256 digest. How long that takes says nothing of use: whoever measures it learns
about digests, and cannot make a key that has a given one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ...errors import StartError
from ...keys import KeysError, digest, parse
from ...telemetry import log
from ..callers import Caller
from .refusal import Refused, api_keys, bearers, only

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from ...keys import Keys

LOOK_S = 1.0
RETRY_S = 5.0
FIX = "make one with `python -m shipway_runtime.keys TENANT`"
HOW = "an API key as `Authorization: Bearer KEY`, or as x-api-key"


class KeyAuth:
    """Lets in who shows a key. `read` gives the secret's current text, None while it is missing."""

    def __init__(
        self, name: str, read: Callable[[], str | None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name, self._read, self._clock = name, read, clock
        self._text: str | None = None
        self._keys: Keys | None = None
        self._looked = clock()
        self._refresh(starting=True)

    async def caller(self, scope: Scope) -> Caller:
        keys = self._current()
        if keys is None:
            raise Refused(503, "auth_unavailable", "nobody can be let in now; try again", retry_s=RETRY_S)
        key = only(bearers(scope) | api_keys(scope), "api_key", HOW)
        if (tenant := keys.get(digest(key))) is None:
            raise Refused(401, "invalid_api_key", "the API key is not known", error="invalid_token")
        return Caller(tenant)

    def problem(self) -> str | None:
        if self._current() is None:
            return f"no keys can be read from the secret {self._name}"
        return None

    def detail(self) -> dict[str, Any]:
        return {}

    async def keep(self) -> None:
        """Nothing to fetch."""

    def _current(self) -> Keys | None:
        if (now := self._clock()) - self._looked >= LOOK_S:
            self._looked = now
            self._refresh()
        return self._keys

    def _refresh(self, *, starting: bool = False) -> None:
        text = self._read()
        if text is None or text is self._text or text == self._text:
            return  # missing: the check of the secrets says so
        self._text = text
        try:
            keys = parse(text)
        except KeysError as error:
            if starting:
                raise StartError(f"the secret {self._name}, {error}; {FIX}") from None
            log.error("the secret %s, %s; %s", self._name, error, self._instead())
            return
        if not keys:
            log.warning("the secret %s holds no keys: every call is refused", self._name)
        elif not starting:
            log.info("the secret %s has changed: %d keys", self._name, len(keys))
        self._keys = keys

    def _instead(self) -> str:
        return "every call is refused" if self._keys is None else "the keys before stay in use"
