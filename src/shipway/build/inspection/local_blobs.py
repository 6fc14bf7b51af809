"""Image files on this machine -> their documents and layers, by their paths.

In: a directory with a layout, a tar of one, what an engine saves. Out: `DirectoryBlobs`, `ArchiveBlobs`. An
archive is read once, front to back, whatever the order in it: each layer is counted as it passes by.
"""

from __future__ import annotations

import io
import json
import posixpath
import re
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from shipway.build.attachments.referrers import is_attached
from shipway.build.inspection.contents import (
    DOCUMENT,
    BoundedHeader,
    Contents,
    decompressed,
    read_contents,
)
from shipway.errors import BuildError

_MAX_JSON = 8 << 20
"""Of one file, and of all in an archive together."""


@dataclass(frozen=True, slots=True)
class DirectoryBlobs:
    """A layout in a directory. `keep` are the paths in layers whose text is kept."""

    root: Path
    keep: re.Pattern[str] = DOCUMENT

    def document(self, path: str) -> Any:
        """The JSON value, or None where there is no such file."""
        file = self.root / path
        if not file.is_file():
            return None
        if file.stat().st_size > _MAX_JSON:
            raise BuildError(
                f"{file} has {file.stat().st_size} bytes, expected a JSON file of a few kilobytes"
            )
        return read_json(file.read_bytes(), str(file))

    def contents(self, path: str) -> tuple[int, Contents]:
        """A layer's bytes as it is there, and what it holds."""
        file = self.root / path
        if not file.is_file():
            raise BuildError(
                f"a layer is missing: {file}", "an image whose base was left out cannot be inspected"
            )
        with file.open("rb") as blob:
            return file.stat().st_size, read_contents(blob, f"layer {file.name[:12]}", self.keep)

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        return _referrers(self, digest)


@dataclass(frozen=True, slots=True)
class ArchiveBlobs:
    """All that one pass over an archive has found: its manifest may come last."""

    documents: dict[str, bytes]
    layers: dict[str, tuple[int, Contents]]
    links: dict[str, str]

    def document(self, path: str) -> Any:
        return read_json(self.documents[path], path) if path in self.documents else None

    def contents(self, path: str) -> tuple[int, Contents]:
        found = self.layers.get(self.links.get(path, path))
        if not found:
            raise BuildError(f"a layer is missing in the archive: {path}")
        return found

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        return _referrers(self, digest)


def _referrers(blobs: DirectoryBlobs | ArchiveBlobs, digest: str) -> list[dict[str, Any]]:
    """The entries of the layout's index whose manifest names the digest as its subject."""
    attached = [entry for entry in blobs.document("index.json")["manifests"] if is_attached(entry)]
    manifests = (blobs.document(blob_path(entry["digest"])) for entry in attached)
    return [
        entry
        for entry, manifest in zip(attached, manifests, strict=True)
        if manifest and manifest.get("subject", {}).get("digest") == digest
    ]


def blob_path(digest: object) -> str:
    """Where a layout has a blob. Raises ValueError for what could be another path."""
    algorithm, _, value = str(digest).partition(":")
    if not (algorithm.isalnum() and value.isalnum()):
        raise ValueError(f"digest {digest!r}")
    return f"blobs/{algorithm}/{value}"


def read_saved(program: str, reference: str, keep: re.Pattern[str] = DOCUMENT) -> ArchiveBlobs:
    """What the engine saves under this name. Raises BuildError with what the engine says."""
    command = [program, "save", reference]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            return read_archive(cast("IO[bytes]", process.stdout), reference, keep)
        except BuildError as error:
            process.kill()
            said = cast("IO[bytes]", process.stderr).read().decode(errors="replace").strip()
            if not said:
                raise
            raise BuildError(f"{program} save {reference} gave no image: {said}") from error


def read_archive(stream: IO[bytes], name: str, keep: re.Pattern[str] = DOCUMENT) -> ArchiveBlobs:
    """Every document and layer of an archive, compressed or not. Raises BuildError when it is damaged."""
    found = ArchiveBlobs({}, {}, {})
    try:
        _, plain = decompressed(stream)
        with tarfile.open(fileobj=plain, mode="r|", tarinfo=BoundedHeader) as archive:
            while member := archive.next():
                archive.members.clear()  # type: ignore[attr-defined]
                path = member.name.removeprefix("./")
                if member.issym() or member.islnk():
                    found.links[path] = _target(path, member)
                elif member.isreg() and member.size and (file := archive.extractfile(member)):
                    _add(found, path, member.size, io.BufferedReader(cast("io.RawIOBase", file)), keep)
        while plain.read(1 << 20):
            pass  # so that whoever writes can end
    except (tarfile.TarError, OSError, EOFError, zlib.error, RecursionError) as error:
        raise BuildError(f"{name} is no image archive, or it is damaged: {error}") from error
    return found


def _add(found: ArchiveBlobs, path: str, size: int, file: io.BufferedReader, keep: re.Pattern[str]) -> None:
    head = file.peek(512)[:512]
    if head[:1] in (b"{", b"["):
        if size + sum(map(len, found.documents.values())) <= _MAX_JSON:
            found.documents[path] = file.read()
    elif (
        head[:2] == b"\x1f\x8b"
        or head[:4] == b"\x28\xb5\x2f\xfd"
        or head[257:262] == b"ustar"
        or not any(head)
    ):
        found.layers[path] = size, read_contents(cast("IO[bytes]", file), f"layer {path}", keep)


def _target(path: str, member: tarfile.TarInfo) -> str:
    """Where a link of an old `docker save` points: "../ID/layer.tar", or a path from the top."""
    directory = posixpath.dirname(path) if member.issym() else ""
    return posixpath.normpath(posixpath.join(directory, member.linkname))


def read_json(text: bytes, name: str) -> Any:
    """The JSON value. Raises BuildError when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{name} is not JSON: {error}") from error
