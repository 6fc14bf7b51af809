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
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TypeVar

import platformdirs

from shipway.build.environments.distributions import Distribution
from shipway.build.interruption import temporary
from shipway.build.layers import Entry, Layer, read_layer, write_layer
from shipway.build.writing import UNFINISHED, disk_errors, is_whole, remove_stale
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

T = TypeVar("T")

LAYOUT = 5
"""Part of every key: counts up when the same inputs would make other bytes or another record than before."""

Holds = Callable[[list[Entry]], tuple[Distribution, ...]]
"""Which distributions a layer's entries are; see distributions.py."""


def default_root() -> Path:
    """SHIPWAY_CACHE, else the user's cache directory."""
    configured = os.environ.get("SHIPWAY_CACHE")
    return Path(configured) if configured else Path(platformdirs.user_cache_dir("shipway"))


def digest_of(*parts: object) -> str:
    """A SHA-256 over the parts, as hexadecimal text; equal parts, equal digest."""
    return hashlib.sha256(json.dumps([LAYOUT, *parts], sort_keys=True).encode()).hexdigest()


def nothing(_: list[Entry]) -> tuple[Distribution, ...]:
    """Of a layer that is not made from an index's distributions."""
    return ()


def key_of(made_from: Mapping[str, str]) -> str:
    """The key of a layer."""
    return digest_of(dict(made_from))


class Remote(Protocol):
    """A cache elsewhere: remote_cache.py."""

    def fetch(self, key: str) -> Layer | None:
        """The layer of this key, without its blob."""

    def bring(self, layer: Layer) -> Path:
        """The layer's blob, placed in the local cache."""

    def fact(self, key: str) -> str | None:
        """What is known under this key."""


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
    remotes: tuple[Remote, ...] = ()
    origins: dict[str, Callable[[], object]] = field(default_factory=dict, compare=False, repr=False)
    """What brings each blob that is not here, but in a base's registry or in a build cache there."""
    facts: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What `fact` and `keep_fact` were asked for in this run."""

    def blob(self, digest: str) -> Path:
        """Where the blob of this digest is, or would be."""
        return self.root / "blobs" / digest.replace(":", "/")

    def offer(self, digest: str, size: int, bring: Callable[[], object]) -> None:
        """Say what places the blob in the cache, should somebody need it; one of another size is none."""
        self.origins[digest] = bring
        if (path := self.blob(digest)).is_file() and path.stat().st_size != size:
            path.unlink()

    def bring(self, digest: str) -> Path:
        """The blob's file, brought here unless it is."""
        path = self.blob(digest)
        if not path.exists() and digest in self.origins:
            self.origins[digest]()
        return path

    def fact(self, key: str) -> str | None:
        """What was found out before, here or by whoever filled a remote cache; None where nothing was.

        It is the text of a JSON value: so one that was cut short is known, and counts as absent.
        """
        if key not in self.facts and (path := self.root / "facts" / key).is_file():
            with suppress(ValueError, OSError):
                text = path.read_text(encoding="utf-8")
                json.loads(text)
                self.facts[key] = text
        for remote in self.remotes:
            if key not in self.facts and (found := remote.fact(key)) is not None:
                self.keep_fact(key, found)
        return self.facts.get(key)

    def keep_fact(self, key: str, text: str) -> None:
        """Keep what took an effort to find out, as JSON. `key` says everything it depends on."""
        if self.facts.get(key) != text:
            self.facts[key] = text
            self.write_text(self.root / "facts" / key, text)

    def directory(self, *names: str) -> Path:
        """A directory of the cache, made when it is not there."""
        path = self.root.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def layer(
        self,
        name: str,
        made_from: Mapping[str, str],
        entries: Callable[[], Iterable[Entry]],
        holds: Holds = nothing,
    ) -> Layer:
        """The layer of these inputs; `entries` is called only when it is not in the cache.

        `holds` says, then and never again, which distributions the entries are.
        """
        known = self._known(made_from)
        if known:
            return dataclasses.replace(known, name=name, made_from=made_from, cached=True)
        with self.writing() as sink:
            made = list(entries())
            layer = dataclasses.replace(write_layer(name, made, sink), distributions=holds(made))
            sink.flush()
            self._place(Path(sink.name), self.blob(layer.digest))
        self.write_text(self._record(made_from), json.dumps(asdict(layer)))
        return dataclasses.replace(layer, made_from=made_from)

    def has(self, made_from: Mapping[str, str]) -> bool:
        """Whether the layer of these inputs is there, whole."""
        return self._known(made_from) is not None

    def _known(self, made_from: Mapping[str, str]) -> Layer | None:
        try:
            layer = read_layer(read_record(self._record(made_from), dict) or {})
        except (TypeError, ValueError, KeyError, AttributeError):
            return self._remote(made_from)
        return layer if self._is_whole(layer) else self._remote(made_from)

    def _is_whole(self, layer: Layer) -> bool:
        """Whether the blob is here with its size, or can be brought."""
        try:
            return self.blob(layer.digest).stat().st_size == layer.size
        except OSError:
            return layer.digest in self.origins

    def _remote(self, made_from: Mapping[str, str]) -> Layer | None:
        """The layer as a remote cache knows it; its blob stays there until it is needed."""
        for remote in self.remotes:
            if layer := remote.fetch(key_of(made_from)):
                self.offer(layer.digest, layer.size, lambda: remote.bring(layer))  # noqa: B023 - returned at once
                self.write_text(self._record(made_from), json.dumps(asdict(layer)))
                return layer
        return None

    def _record(self, made_from: Mapping[str, str]) -> Path:
        return self.root / "layers" / f"{key_of(made_from)}.json"

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
