"""HTTP for the base: small documents, and files that are known by their SHA-256.

In: addresses; what a file must hash to. Out: bytes, or paths in a content-addressed directory. Proxies and
CA bundles come from the environment. No answer and server errors are tried again, then UnreachableError;
a refusal (4xx) is a BuildError at once; a wrong hash is a TamperedError at once.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2

from shipway.build.debian.mirrors import without_password
from shipway.build.writing import is_whole, replacing
from shipway.errors import BuildError, TamperedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ATTEMPTS = 3
PAUSE_S = 0.3
"""Before the second attempt; doubles with each further one."""

_TIMEOUT = httpx2.Timeout(30, connect=10)


class Downloads:
    """One HTTP client, which threads may share. Use it as a context manager."""

    def __init__(self) -> None:
        self._client = httpx2.Client(follow_redirects=True, timeout=_TIMEOUT)

    def __enter__(self) -> Downloads:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def document(self, url: str, limit: int) -> bytes:
        """The body at `url`, of at most `limit` bytes."""
        return self._retried(url, lambda: self._read(url, limit))

    def file(self, url: str, sha256: str, size: int, directory: Path) -> Path:
        """`directory/sha256`, downloaded unless it is there whole."""
        path = directory / sha256
        if is_whole(path, f"sha256:{sha256}", size):
            return path
        self._retried(url, lambda: self._save(url, sha256, size, path))
        return path

    def _read(self, url: str, limit: int) -> bytes:
        with self._open(url) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > limit:
                    raise TamperedError(f"{without_password(url)}: more than {limit} bytes, refused")
            return bytes(body)

    def _save(self, url: str, sha256: str, size: int, path: Path) -> bytes:
        digest, seen = hashlib.sha256(), 0
        with replacing(path) as sink, self._open(url) as response:
            for chunk in response.iter_bytes():
                digest.update(chunk)
                seen += len(chunk)
                sink.write(chunk)
                if seen > size:
                    break
            if seen != size or digest.hexdigest() != sha256:
                raise TamperedError(
                    f"{without_password(url)}: expected {size} bytes with SHA-256 {sha256}, "
                    f"saw {seen} bytes with {digest.hexdigest()}",
                    "the mirror is half way through an update, or somebody changed the file: use another",
                )
        return b""

    @contextmanager
    def _open(self, url: str) -> Iterator[httpx2.Response]:
        # identity: what is hashed is the file itself, never a transfer encoding of it
        with self._client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
            if 400 <= response.status_code < 500 and response.status_code not in (408, 429):
                raise BuildError(
                    f"{without_password(url)}: the mirror answers {_status(response)}",
                    "it may lack the suite, or have moved on; a snapshot as [image] mirror keeps its files",
                )
            response.raise_for_status()
            yield response

    def _retried(self, url: str, attempt: Callable[[], bytes]) -> bytes:
        number = 0
        while True:
            try:
                return attempt()
            except httpx2.InvalidURL as error:
                raise BuildError(f"{without_password(url)} is not an address: {error}") from error
            except httpx2.HTTPError as error:
                number += 1
                if number == ATTEMPTS:
                    shown = without_password(url)
                    raise UnreachableError(f"{shown} cannot be reached: {_reason(error)}") from error
            time.sleep(PAUSE_S * 2 ** (number - 1))


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"it answers {_status(error.response)}"
    return str(error) or type(error).__name__


def _status(response: httpx2.Response) -> str:
    return f"{response.status_code} {response.reason_phrase}"
