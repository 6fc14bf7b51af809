"""An image of a registry, read where it is: nothing of it is kept on this machine.

In: a reference. Out: its documents and layers by the paths that they would have in an OCI layout. Layers are
streams, counted while they arrive; a stream that breaks is read again from its start, and one that is not
what its digest says is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shipway.build.inspection.contents import DOCUMENT, Contents, read_contents
from shipway.build.registries.attached import list_referrers
from shipway.build.registries.registry import Ask, Manifest, Repository, Retries
from shipway.errors import BuildError, TamperedError

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping

    from shipway.build.registries.reference import Reference

_RETRIES = Retries(attempts=4)
"""Somebody waits at a terminal, and nothing is lost by asking again."""


class RemoteBlobs:
    """A registry's image as files of a layout, which `remote` opens."""

    def __init__(
        self, repository: Repository, reference: Reference, keep: re.Pattern[str] = DOCUMENT
    ) -> None:
        self._keep = keep
        self._repository = repository
        self._reference = reference
        self._manifests: set[str] = set()

    def document(self, path: str) -> Any:
        """The JSON value of an index, manifest or config."""
        if path == "index.json":
            return {"manifests": [self._top()]}
        digest = _digest(path)
        data = self._manifest(digest).data if digest in self._manifests else self._small(digest)
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BuildError(f"{self._reference}: {digest} is not JSON: {error}") from error
        if isinstance(document, dict):
            self._manifests |= {str(inner["digest"]) for inner in document.get("manifests", ())}
        return document

    def contents(self, path: str) -> tuple[int, Contents]:
        """A layer's bytes as they travelled, and what it holds."""
        digest = _digest(path)

        def attempt() -> tuple[int, Contents]:
            with self._repository.open(Ask("GET", f"blobs/{digest}"), (200,)) as response:
                stream = _Stream(response.iter_raw())
                blob = io.BufferedReader(stream, 1 << 20)
                contents = read_contents(blob, f"layer {digest[7:19]}", self._keep)
                while stream.read(1 << 20):
                    pass
            if f"sha256:{stream.digest.hexdigest()}" != digest:
                raise TamperedError(f"{self._reference}: the layer {digest} has other content than that")
            return stream.size, contents

        return self._repository.retries.run(f"{self._reference}: layer {digest}", attempt)

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """What the registry lists."""
        return list_referrers(self._repository, digest)

    def _top(self) -> dict[str, Any]:
        manifest = self._manifest(self._reference.wanted)
        self._manifests.add(manifest.digest)
        name = {"org.opencontainers.image.ref.name": str(self._reference)}
        return {"digest": manifest.digest, "annotations": name}

    def _manifest(self, wanted: str) -> Manifest:
        manifest = self._repository.manifest(wanted)
        if manifest is None:
            raise BuildError(f"the registry has no image {self._reference}")
        return manifest

    def _small(self, digest: str) -> bytes:
        data = self._repository.send(Ask("GET", f"blobs/{digest}"), (200,)).content
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise TamperedError(f"{self._reference}: the config {digest} has other content than that")
        return data


@contextmanager
def remote(
    reference: Reference, environ: Mapping[str, str], keep: re.Pattern[str] = DOCUMENT
) -> Iterator[RemoteBlobs]:
    """The registry's image, with the credentials that Docker would use."""
    with Repository(reference, environ, retries=_RETRIES) as repository:
        yield RemoteBlobs(repository, reference, keep)


class _Stream(io.RawIOBase):
    """Chunks of an answer as a file, hashed and counted on their way."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.digest, self.size = hashlib.sha256(), 0
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self.digest.update(chunk)
            self.size += len(chunk)
            self._rest = chunk
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)


def _digest(path: str) -> str:
    return path.removeprefix("blobs/").replace("/", ":", 1)
