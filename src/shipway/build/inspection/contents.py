"""A layer's blob -> what is in it, in one pass over the stream.

In: the bytes of a layer: tar, plain or compressed by gzip or zstd, from anybody. Out: `Contents`: each file's
size and digest, what the layer takes away from those below it, and the few small files that say which
packages there are. Nothing is unpacked and no name is followed: a hostile archive is only counted.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import posixpath
import re
import sys
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, cast

from zlib_ng import gzip_ng

from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_ENTRIES = 1_000_000
"""Of one layer; what follows is counted without its names, to keep memory bounded."""
MAX_HEADER = 1 << 20
"""Bytes of one extended tar header: names and attributes, which tarfile reads whole."""
MAX_DOCUMENT = 16 << 20
MAX_DOCUMENTS = 64 << 20

DOCUMENT = re.compile(
    r"(.*/)?[^/]+\.dist-info/(METADATA|RECORD)"
    r"|var/lib/dpkg/(status|status\.d/[^/]+|info/[^/]+\.list)"
    r"|(.*/)?node_modules/(@[^/]+/)?[^/]+/package\.json"
)
"""The files that say which packages there are, and which files are theirs."""

_BYTECODE = re.compile(r"(?P<directory>.*/|)__pycache__/(?P<module>[^/]+?)\.[\w-]+(\.opt-\d)?\.pyc")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_CHUNK = 1 << 20
_BUFFER = 1 << 14  # tarfile copies what is left of it at every read


@dataclass(frozen=True, slots=True)
class File:
    """A regular file: bytes, and a digest of its content that tells files apart (BLAKE2b, 128 bits)."""

    size: int
    digest: bytes


@dataclass(slots=True)
class Contents:
    """What one layer holds and takes away. Paths have no leading slash.

    `names` are all paths that are no directory, files among them. `removed` are paths below which nothing of
    lower layers is left, `opaque` directories whose former content is gone. `repeated` are bytes of files
    that the same layer holds again; `unnamed` are bytes beyond MAX_ENTRIES.
    """

    compression: str
    files: dict[str, File] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    directories: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    documents: dict[str, bytes] = field(default_factory=dict)
    repeated: int = 0
    unnamed: int = 0

    @property
    def unpacked(self) -> int:
        """Bytes of all files, whether or not they can be seen in the image."""
        return sum(file.size for file in self.files.values()) + self.repeated + self.unnamed


class BoundedHeader(tarfile.TarInfo):
    """A member of a foreign archive. tarfile reads extended headers whole, so large ones are refused."""

    _HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"X")

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:  # tarfile's own point to override
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.HeaderError("a sparse file, which no image builder writes")
        if self.type in self._HEADERS and self.size > MAX_HEADER:
            raise tarfile.HeaderError(f"an extended header of {self.size} bytes")
        return cast("tarfile.TarInfo", super()._proc_member(archive))  # type: ignore[misc]

    def _proc_gnusparse_10(self, *_: object) -> None:
        """Sparse maps inside of files are content to us; tarfile never ends reading a truncated one."""


def readable(text: str) -> str:
    """The text without what a terminal or a reader could take for something else: control characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def read_contents(blob: IO[bytes], name: str, keep: re.Pattern[str] = DOCUMENT) -> Contents:
    """Count what is in a layer. `blob` is read once, to its end; `name` is said in errors.

    `keep` are the paths whose text is kept, as far as the bounds on documents allow.

    Raises BuildError when it is damaged, or compressed in a way that cannot be read here.
    """
    compression, stream = decompressed(blob)
    contents = Contents(compression)
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=BoundedHeader, bufsize=_BUFFER) as archive:
            while member := archive.next():
                archive.members.clear()  # type: ignore[attr-defined]  # or tarfile keeps every header
                _count(contents, archive, member, keep)
        while rest := stream.read(_CHUNK):
            if rest.strip(b"\0"):
                raise tarfile.ReadError("more bytes follow its end")
    except (tarfile.TarError, OSError, EOFError, zlib.error, RecursionError) as error:
        raise BuildError(f"{name} is damaged, or no tar: {error}") from error
    return contents


def decompressed(blob: IO[bytes]) -> tuple[str, IO[bytes]]:
    """What compressed the blob, "gzip", "zstd" or "none", and the stream of its content."""
    peekable = blob if isinstance(blob, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", blob))
    magic = peekable.peek(4)[:4]
    if magic[:2] == b"\x1f\x8b":
        return "gzip", cast("IO[bytes]", gzip_ng.GzipNGFile(fileobj=peekable, mode="rb"))  # type: ignore[no-untyped-call]
    if magic == b"\x28\xb5\x2f\xfd":
        return "zstd", cast("IO[bytes]", _Zstd(peekable))
    return "none", peekable


class _Zstd:
    """A stream of zstd frames, whose damage is an error that readers of other compressions raise as well."""

    def __init__(self, blob: IO[bytes]) -> None:
        library = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        self._zstd = importlib.import_module(library)
        self._file = self._zstd.ZstdFile(blob)

    def read(self, size: int = -1) -> bytes:
        try:
            return cast("bytes", self._file.read(size))
        except self._zstd.ZstdError as error:
            raise EOFError(str(error)) from error


def _count(
    contents: Contents, archive: tarfile.TarFile, member: tarfile.TarInfo, keep: re.Pattern[str]
) -> None:
    path = readable(posixpath.normpath(f"/{member.name}").lstrip("/"))
    directory, _, base = path.rpartition("/")
    if len(contents.names) + len(contents.directories) >= MAX_ENTRIES:
        contents.unnamed += member.size if member.isreg() else 0
    elif base == _OPAQUE:
        contents.opaque.add(directory)
    elif base.startswith(_WHITEOUT):
        contents.removed.add(f"{directory}/{base.removeprefix(_WHITEOUT)}".lstrip("/"))
    elif member.isdir():
        contents.directories.add(path)
    else:
        contents.names.add(path)
        if member.isreg() and (file := archive.extractfile(member)):
            contents.repeated += contents.files[path].size if path in contents.files else 0
            contents.files[path] = _file(contents, path, file, member.size, keep)


def _file(contents: Contents, path: str, file: IO[bytes], expected: int, keep: re.Pattern[str]) -> File:
    """Read a file once: its size, its digest, and its text if that is to be kept."""
    kept: list[bytes] | None = [] if keep.fullmatch(path) else None
    digest, size = hashlib.blake2b(digest_size=16), 0
    while chunk := file.read(min(_CHUNK, expected - size)):
        digest.update(chunk)
        size += len(chunk)
        if kept is not None:
            kept = [*kept, chunk] if size <= MAX_DOCUMENT else None
    if kept is not None and sum(map(len, contents.documents.values())) + size <= MAX_DOCUMENTS:
        contents.documents[path] = b"".join(kept)
    return File(size, digest.digest())


def source_of(path: str) -> str:
    """The .py file that a bytecode file was made from; other paths as they are."""
    match = _BYTECODE.fullmatch(path)
    return f"{match['directory']}{match['module']}.py" if match else path


def recorded(record: str, text: str) -> Iterator[str]:
    """The paths that a distribution's RECORD lists; `record` is its own path."""
    packages = record.rpartition("/")[0].rpartition("/")[0]
    for row in csv.reader(text.splitlines()):
        if row:
            yield posixpath.normpath(f"/{packages}/{row[0]}").lstrip("/")


def distribution_sizes(blob: Path) -> dict[str, int]:
    """`name version` -> bytes, bytecode included, for every distribution of the layer."""
    with blob.open("rb") as stream:
        contents = read_contents(stream, str(blob))
    owners = {
        path: record.split("/")[-2].removesuffix(".dist-info").replace("-", " ", 1)
        for record, text in contents.documents.items()
        if record.endswith("/RECORD")
        for path in recorded(record, text.decode(errors="replace"))
    }
    sizes = dict.fromkeys(owners.values(), 0)
    for path, file in contents.files.items():
        if owner := owners.get(path) or owners.get(source_of(path)):
            sizes[owner] += file.size
    return sizes
