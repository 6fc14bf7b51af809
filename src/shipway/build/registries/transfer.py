"""Blobs to and from a repository.

In: a blob's descriptor, and the file it is in or shall be in. Out: the blob on the other side, verified, and
how it got there. Nothing of size travels that is there already: first HEAD, then a mount from a repository of
the same registry, then an upload that goes on where a broken one stopped. A download is hashed on its way
into a temporary file, which takes its name only if the digest is right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import httpx2

from shipway.build.registries.descriptor import Descriptor as Descriptor
from shipway.build.registries.descriptor import read_descriptor as read_descriptor
from shipway.build.registries.registry import PUSH, Ask, DeniedError, Repository
from shipway.build.writing import replacing
from shipway.errors import BuildError, TamperedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Way = Literal["there", "mounted", "sent"]

MONOLITHIC = 1 << 20
"""Bytes up to which a blob travels in the request that closes its upload."""
_WORTH_ASKING = 1 << 14
"""Bytes above which a registry is asked whether it has a blob: to send fewer is as quick."""
_CHUNK = 1 << 18


def has_blob(repository: Repository, digest: str) -> bool:
    """Whether the repository has this blob."""
    return repository.send(Ask("HEAD", f"blobs/{digest}", PUSH), allow=(200, 404)).status_code == 200


def upload(repository: Repository, blob: Descriptor, file: Callable[[], Path], mount: str = "") -> Way:
    """Bring a blob into the repository; `mount` is a repository of the same registry that has had it.

    `file` is asked for only when the bytes are needed.
    """
    if blob.size > _WORTH_ASKING and has_blob(repository, blob.digest):
        return "there"
    location = _begin(repository, blob.digest, mount)
    if not location:
        return "mounted"
    _Upload(repository, blob, file(), location).run()
    return "sent"


def download(repository: Repository, blob: Descriptor, path: Path) -> Path:
    """`path`, downloaded unless it is there. Raises TamperedError when the bytes are not the digest's."""
    if not path.is_file():
        repository.retries.run(f"{repository}: blob {blob.digest}", lambda: _save(repository, blob, path))
    return path


def _save(repository: Repository, blob: Descriptor, path: Path) -> None:
    digest, seen = hashlib.sha256(), 0
    ask = Ask("GET", f"blobs/{blob.digest}")
    with replacing(path) as sink, repository.open(ask, (200,)) as response:
        for chunk in response.iter_raw():
            digest.update(chunk)
            seen += len(chunk)
            sink.write(chunk)
            if seen > blob.size:
                break
        if seen < blob.size:
            raise httpx2.RemoteProtocolError(f"the answer ended after {seen} of {blob.size} bytes")
        if seen > blob.size or f"sha256:{digest.hexdigest()}" != blob.digest:
            raise TamperedError(
                f"{repository}: the blob {blob.digest} has other content than its digest says",
                "the registry, or a proxy before it, serves something else: nothing of it was kept",
            )


def _begin(repository: Repository, digest: str, mount: str = "") -> str:
    """Where to upload to; empty when the blob was mounted instead."""
    if mount:
        ask = Ask("POST", f"blobs/uploads/?mount={digest}&from={mount}", PUSH, mount=mount)
        try:
            response = repository.send(ask, allow=(201, 202))
        except DeniedError:  # may push here, but not read there
            return _begin(repository, digest)
        if response.status_code == 201:
            return ""
    else:
        response = repository.send(Ask("POST", "blobs/uploads/", PUSH), allow=(202,))
    return _location(repository, response)


def _location(repository: Repository, response: httpx2.Response) -> str:
    location = response.headers.get("Location")
    if not location:
        raise BuildError(f"{repository}: the registry starts an upload without saying where")
    return str(response.request.url.join(location))


@dataclass(slots=True)
class _Upload:
    """One blob on its way: where it goes, and how much of it the registry says that it has."""

    repository: Repository
    blob: Descriptor
    path: Path
    location: str
    offset: int = 0
    broken: bool = False

    def run(self) -> None:
        what = f"{self.repository}: upload of {self.blob.digest}"
        self.repository.retries.run(what, self._attempt)

    def _attempt(self) -> None:
        if self.broken and not self._resume():
            return
        self.broken = True  # unless all goes well, in which case nobody asks
        if self.offset == 0 and self.blob.size <= MONOLITHIC:
            self._close(self.path.read_bytes())
            return
        if self.offset < self.blob.size:
            self._patch()
        self._close(b"")

    def _patch(self) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        if self.offset:
            headers["Content-Range"] = f"{self.offset}-{self.blob.size - 1}"
        offset, length = self.offset, self.blob.size - self.offset
        ask = Ask("PATCH", self.location, PUSH, headers, lambda: _pieces(self.path, offset), length)
        response = self.repository.send_once(ask, (202, 204))
        self.location, self.offset = _location(self.repository, response), self.blob.size

    def _close(self, data: bytes) -> None:
        """The last request: the registry compares the digest, and the blob is there."""
        url = httpx2.URL(self.location).copy_merge_params({"digest": self.blob.digest})
        headers = {"Content-Type": "application/octet-stream"}
        self.repository.send_once(Ask("PUT", str(url), PUSH, headers, data), (201,))

    def _resume(self) -> bool:
        """Find out what has arrived; False when it is the whole blob, and nothing is left to do."""
        ask = Ask("GET", self.location, PUSH)
        response = self.repository.send(ask, allow=(204, 400, 404, 405, 416))
        if self._has_arrived():
            return False
        end = response.headers.get("Range", "").rpartition("-")[2]
        if response.status_code == 204 and end.isdigit() and int(end) < self.blob.size:
            # "0-0" is what registries say of nothing; were it one byte, the digest would not come out
            self.offset = int(end) + 1 if int(end) else 0
            self.location = str(response.request.url.join(response.headers.get("Location", self.location)))
        else:
            self.location, self.offset = _begin(self.repository, self.blob.digest), 0
        return True

    def _has_arrived(self) -> bool:
        """Whether only the answer was lost. Asked once: not to know costs an upload, and no more."""
        ask = Ask("HEAD", f"blobs/{self.blob.digest}", PUSH)
        try:
            return self.repository.send_once(ask, allow=(200, 404)).status_code == 200
        except httpx2.HTTPError:
            return False


def _pieces(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as source:
        source.seek(offset)
        yield from _chunks(source)


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk
