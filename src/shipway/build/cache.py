"""The cache: blobs by their digest, layers by what they were made from.

In: a key that says everything a layer depends on, and a function that makes its entries. Out: the layer,
from the cache when the key is known. Every write goes to a temporary name first and is renamed, so two
builds at once and a kill in the middle leave nothing half written. What a power cut or another program has
damaged counts as absent: a record that does not parse, a blob of another size than its record says. A blob
of the right size is not read again until a registry refuses it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import platformdirs

from shipway.build.interruption import temporary
from shipway.build.layers import Entry, Layer, write_layer
from shipway.build.writing import UNFINISHED, disk_errors, is_whole, remove_stale
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

T = TypeVar("T")

LAYOUT = 3
"""Part of every key: counts up when the same inputs would make other bytes than before."""


def default_root() -> Path:
    """SHIPWAY_CACHE, else the user's cache directory."""
    configured = os.environ.get("SHIPWAY_CACHE")
    return Path(configured) if configured else Path(platformdirs.user_cache_dir("shipway"))


def digest_of(*parts: object) -> str:
    """A SHA-256 over the parts, as hexadecimal text; equal parts, equal digest."""
    return hashlib.sha256(json.dumps([LAYOUT, *parts], sort_keys=True).encode()).hexdigest()


def read_record(path: Path, kind: type[T]) -> T | None:
    """The JSON value of a small file of the cache; None when it is absent, not whole, or no `kind`."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, kind) else None


@dataclass(frozen=True, slots=True)
class Cache:
    """A directory that any number of builds may share."""

    root: Path

    def blob(self, digest: str) -> Path:
        """Where the blob of this digest is, or would be."""
        return self.root / "blobs" / digest.replace(":", "/")

    def directory(self, *names: str) -> Path:
        """A directory of the cache, made when it is not there."""
        path = self.root.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def layer(self, name: str, made_from: Mapping[str, str], entries: Callable[[], Iterable[Entry]]) -> Layer:
        """The layer of these inputs; `entries` is called only when it is not in the cache."""
        known = self._known(made_from)
        if known:
            return dataclasses.replace(known, name=name, made_from=made_from, cached=True)
        with self.writing() as sink:
            layer = write_layer(name, entries(), sink)
            sink.flush()
            self._place(Path(sink.name), self.blob(layer.digest))
        self.write_text(self._record(made_from), json.dumps(asdict(layer)))
        return dataclasses.replace(layer, made_from=made_from)

    def has(self, made_from: Mapping[str, str]) -> bool:
        """Whether the layer of these inputs is there, whole."""
        return self._known(made_from) is not None

    def _known(self, made_from: Mapping[str, str]) -> Layer | None:
        try:
            layer = Layer(**read_record(self._record(made_from), dict) or {})
            whole = self.blob(layer.digest).stat().st_size == layer.size
        except (OSError, TypeError, AttributeError):
            return None
        return layer if whole else None

    def _record(self, made_from: Mapping[str, str]) -> Path:
        return self.root / "layers" / f"{digest_of(dict(made_from))}.json"

    def store(self, data: bytes) -> str:
        """Keep a small blob, such as a manifest; returns its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if not is_whole(self.blob(digest), digest, len(data)):
            with self.writing() as sink:
                sink.write(data)
                sink.flush()
                self._place(Path(sink.name), self.blob(digest))
        return digest

    def disk_errors(self) -> AbstractContextManager[None]:
        """Say what keeps the cache from being written."""
        return disk_errors(self.root, "put the cache elsewhere with SHIPWAY_CACHE")

    def refuse_damaged(self, digest: str) -> None:
        """Remove a blob whose content is not its digest's. Raises BuildError if it was so."""
        path = self.blob(digest)
        if path.exists() and not is_whole(path, digest):
            path.unlink()
            raise BuildError(
                f"{path} was damaged on the disk: its content is not what its name says; it is removed",
                "run the same command again: it makes the layer anew",
            )

    def remove_stale(self) -> None:
        """Remove what processes that were killed have left."""
        unfinished = (path for place in ("*", "*/*") for path in self.root.glob(f"{place}/{UNFINISHED}*"))
        remove_stale([*self.root.glob("tmp/*"), *unfinished])

    def write_text(self, path: Path, text: str) -> None:
        """Replace a file of the cache in one step."""
        with self.writing() as sink:
            sink.write(text.encode())
            sink.flush()
            self._place(Path(sink.name), path)

    @contextmanager
    def writing(self) -> Iterator[IO[bytes]]:
        """A temporary file on the cache's own file system; removed unless it was placed."""
        place = self.directory("tmp")
        with temporary(lambda: tempfile.NamedTemporaryFile(dir=place, delete=False)) as sink:
            yield sink

    @contextmanager
    def working(self) -> Iterator[Path]:
        """A temporary directory on the cache's own file system."""
        place = self.directory("tmp")
        with temporary(lambda: Path(tempfile.mkdtemp(dir=place))) as directory:
            yield directory

    def _place(self, written: Path, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        written.chmod(0o644)
        written.replace(path)
