"""The token that changes through the admin port have to show.

In: SHIPWAY_ADMIN_TOKEN, as a variable or as a file among the secrets. Out: `AdminToken`, which says whether a
request shows it. Where nobody gives one it is made at start and left in a file that this user alone can read:
whoever can read files of the container may change its policy, and nobody else. It is never logged.
Errors: StartError for a token that can be guessed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets as randomness
from pathlib import Path
from typing import TYPE_CHECKING

from .. import contract
from ..contract import env
from ..errors import StartError
from ..secrets.declared import Given, Mounted
from ..telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..config import Deployment
    from ..secrets.declared import Secret, Secrets

SHORTEST = 16  # characters, outside development


class AdminToken:
    """`secret` is where it comes from; `learn` hears each value, so that no log line shows it."""

    def __init__(self, secret: Secret, learn: Callable[[str], None], left_in: Path | None = None) -> None:
        self._secret, self._learn, self._left_in = secret, learn, left_in
        self._known = ""
        self._value()

    def shown(self, authorization: str) -> bool:
        """Whether a header `Authorization` shows the token. Takes as long for a wrong one."""
        scheme, _, given = authorization.strip().partition(" ")
        value = self._value()
        return bool(value) and scheme.lower() == "bearer" and hmac.compare_digest(_hash(given), _hash(value))

    def where(self) -> str:
        """Where somebody who may know it finds it."""
        return f"in {self._left_in} of this container" if self._left_in else f"what {env.ADMIN_TOKEN} holds"

    def close(self) -> None:
        """The process ends: a token that was made for it ends, too."""
        if self._left_in:
            with contextlib.suppress(OSError):
                self._left_in.unlink()

    def _value(self) -> str:
        value = self._secret.get() or ""
        if value != self._known:
            self._known = value
            self._learn(value)
        return value


def find(deployment: Deployment, secrets: Secrets, environ: Mapping[str, str]) -> AdminToken:
    """The token of this process, made here when nobody gave one. Raises StartError."""
    mounted = deployment.places.secrets / env.ADMIN_TOKEN
    if not (given := environ.get(env.ADMIN_TOKEN)) and not mounted.exists():
        return _make(deployment, secrets)
    secret = Given(env.ADMIN_TOKEN, given) if given else Mounted(env.ADMIN_TOKEN, mounted)
    if len(secret.get() or "") < SHORTEST and not deployment.development:
        raise StartError(
            f"{env.ADMIN_TOKEN}: expected at least {SHORTEST} characters, so that nobody guesses it; "
            "make one with `openssl rand -hex 32`, or leave it out and one is made at each start"
        )
    return AdminToken(secret, secrets.learn)


def _make(deployment: Deployment, secrets: Secrets) -> AdminToken:
    value = randomness.token_urlsafe(32)
    path = Path(contract.admin_token_file(deployment.places.admin_port))
    try:
        _leave(path, value)
    except OSError as error:
        log.warning(
            "the admin port takes no changes: %s is not set, and %s cannot be written: %s",
            *(env.ADMIN_TOKEN, path, error.strerror),
        )
        return AdminToken(Given(env.ADMIN_TOKEN, None), secrets.learn)
    log.info("changes through the admin port need the token in %s", path)
    return AdminToken(Given(env.ADMIN_TOKEN, value), secrets.learn, path)


def _leave(path: Path, value: str) -> None:
    """Write the file under a name of its own first: what lies in /tmp already may be somebody's trap."""
    new = path.with_name(f"{path.name}.{randomness.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value + "\n")
    try:
        new.replace(path)
    except OSError:
        new.unlink()
        raise


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
