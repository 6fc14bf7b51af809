"""The cache: blobs by their digest, layers by what they were made from.

In: a key that says everything a layer depends on, and a function that makes its entries. Out: the layer,
from the cache when the key is known. Every write goes to a temporary name first and is renamed, so two
builds at once and a kill in the middle leave nothing half written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import platformdirs

from shipway.build.layers import Entry, Layer, write_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

LAYOUT = 3
"""Part of every key: counts up when the same inputs would make other bytes than before."""


def default_root() -> Path:
    """SHIPWAY_CACHE, else the user's cache directory."""
    configured = os.environ.get("SHIPWAY_CACHE")
    return Path(configured) if configured else Path(platformdirs.user_cache_dir("shipway"))


def digest_of(*parts: object) -> str:
    """A SHA-256 over the parts, as hexadecimal text; equal parts, equal digest."""
    return hashlib.sha256(json.dumps([LAYOUT, *parts], sort_keys=True).encode()).hexdigest()


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
            layer = Layer(**json.loads(self._record(made_from).read_text()))
        except FileNotFoundError:
            return None
        return layer if self.blob(layer.digest).exists() else None

    def _record(self, made_from: Mapping[str, str]) -> Path:
        return self.root / "layers" / f"{digest_of(dict(made_from))}.json"

    def store(self, data: bytes) -> str:
        """Keep a small blob, such as a manifest; returns its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if not self.blob(digest).exists():
            with self.writing() as sink:
                sink.write(data)
                sink.flush()
                self._place(Path(sink.name), self.blob(digest))
        return digest

    def write_text(self, path: Path, text: str) -> None:
        """Replace a file of the cache in one step."""
        self.write(path, text.encode())

    def write(self, path: Path, data: bytes) -> None:
        """As `write_text`."""
        with self.writing() as sink:
            sink.write(data)
            sink.flush()
            self._place(Path(sink.name), path)

    @contextmanager
    def writing(self) -> Iterator[IO[bytes]]:
        """A temporary file on the cache's own file system; removed unless it was placed."""
        with tempfile.NamedTemporaryFile(dir=self.directory("tmp"), delete=False) as sink:
            try:
                yield sink
            finally:
                Path(sink.name).unlink(missing_ok=True)

    @contextmanager
    def working(self) -> Iterator[Path]:
        """A temporary directory on the cache's own file system."""
        with tempfile.TemporaryDirectory(dir=self.directory("tmp")) as name:
            yield Path(name)

    def _place(self, written: Path, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        written.chmod(0o644)
        written.replace(path)
