"""A platform's identity that an SDK exchanges by itself: the file that a declared variable names.

In: the variable, which stays as it is; its value is a path, and SDKs read the file again as it rotates. Out:
a `Secret` whose value is that path, and whose problem is a file that is missing, or a token that has expired.
Claims are read to know when it ends, and for nothing else: who accepts the token verifies it.
"""

from __future__ import annotations

import base64
import functools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .declared import Given, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES = frozenset(
    {
        "ANTHROPIC_IDENTITY_TOKEN_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AZURE_FEDERATED_TOKEN_FILE",
        "GOOGLE_APPLICATION_CREDENTIALS",  # JSON: a key, or where the token's file is
    }
)
PRIVATE = ("private_key", "client_secret", "refresh_token")  # of Google's JSON


class Identity(Given):
    """One such variable."""

    __slots__ = ()

    def values(self) -> Iterator[str]:
        """What nobody may see: not the path, but what is in the file. SDKs' errors may quote it."""
        path = self.get()
        content = _read(path) if path else None
        if content is None:
            return
        document = _object(content)
        if document is None:
            yield content
            return
        yield from (value for key in PRIVATE if isinstance(value := document.get(key), str))
        if (token := _read(_token_file(document))) is not None:
            yield token

    def problem(self) -> str | None:
        path = self.get()
        if path is None:
            return super().problem()
        content = _read(path)
        if content is not None and (document := _object(content)) is not None:
            if (path := _token_file(document)) is None:
                return None  # a key: nothing of it ends
            content = _read(path)
        if content is None:
            return f"{self.name}: no readable file {path}"
        ended = time.time() - (_end(content) or float("inf"))
        if ended > 0:
            return f"{self.name}: the token in {path} expired {ended:.0f} s ago, and nobody has replaced it"
        return None


def _read(path: str | None) -> str | None:
    stamp = stamp_of(Path(path)) if path else None
    return _content(path, stamp) if path and stamp else None


@functools.lru_cache(maxsize=16)
def _content(path: str, stamp: tuple[int, ...]) -> str | None:
    """Read again when the file is another one: every line of the log asks."""
    try:
        return Path(path).read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _object(content: str) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _token_file(document: dict[str, Any]) -> str | None:
    """Of Google's workload identity federation: where the platform's token is."""
    source = document.get("credential_source")
    path = source.get("file") if isinstance(source, dict) else None
    return path if isinstance(path, str) else None


def _end(token: str) -> float | None:
    """When a JWT expires, in seconds since the epoch; None for one without an end, and for other tokens."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    return float(end) if isinstance(end, int | float) and not isinstance(end, bool) else None
