"""Package files -> a directory tree, without dpkg, without root, and without ever leaving the tree.

In: .deb files, one after the other. Out: their files below one directory, as an image needs them. Nothing
is written through a symbolic link: where a path may go is decided from what was written before, never by
asking the file system. Links become relative, so the tree means the same at / and anywhere else. Modes come
from the package, without set-user-ID and set-group-ID; devices are refused.
"""

from __future__ import annotations

import gzip
import io
import lzma
import posixpath
import shutil
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from debian.arfile import ArError, ArFile

from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable

MERGED = ("bin", "sbin", "lib", "lib64")
"""Links to the directories of these names in /usr: what a package ships there lands behind them."""

LEFT_OUT = frozenset(
    {
        *("usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/doc-base", "usr/share/lintian"),
        *("usr/share/bug", "usr/share/gdb", "usr/share/gcc", "usr/share/binfmts", "usr/lib/binfmt.d"),
        *("usr/share/base-files", "usr/share/bash-completion", "usr/share/zsh", "usr/share/fish"),
        *("usr/share/menu", "usr/share/applications", "usr/share/pixmaps", "usr/share/icons"),
        *("boot", "usr/games", "etc/update-motd.d", "etc/issue", "etc/issue.net"),
        "usr/sbin/update-ca-certificates",  # a shell script; base.py does its work
        "usr/share/zoneinfo/localtime",  # points at /etc/localtime, which is not there
    }
)
"""Paths for people at a terminal, or for tools that are not in the image."""

_GCONV = frozenset(
    {
        *("gconv-modules", "ANSI_X3.110.so", "CP1252.so", "ISO8859-1.so", "ISO8859-15.so"),
        *("UNICODE.so", "UTF-16.so", "UTF-32.so", "UTF-7.so"),
    }
)
"""The character sets that glibc's own gconv-modules names. The others take 9 MB (20 MB on arm64); Python has
its own. Without gconv-modules.cache, which lists them all, glibc reads gconv-modules."""


def is_left_out(path: str) -> bool:
    """Whether an image does without this path: manuals, translations, documentation but for licences."""
    parts = path.split("/")
    if any("/".join(parts[: depth + 1]) in LEFT_OUT for depth in range(len(parts))):
        return True
    if parts[:3] == ["usr", "share", "doc"]:
        return len(parts) > 4 and parts[4:] != ["copyright"]
    return parts[:2] == ["usr", "lib"] and parts[3:4] == ["gconv"] and not _GCONV.issuperset(parts[4:])


_READERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.decompress, ".xz": lzma.decompress}
_UNREADABLE = (ArError, tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, KeyError, EOFError)
_SCRIPTS = frozenset({"preinst", "postinst"})


@dataclass(frozen=True, slots=True)
class Control:
    """What a package says of itself: its stanza, and which scripts dpkg would have run."""

    stanza: str
    scripts: frozenset[str]


@dataclass(slots=True)
class Tree:
    """A root file system that grows package by package. Call `finish` when the last one is in."""

    root: Path
    directories: dict[str, int] = field(default_factory=dict)
    """Path -> mode, applied at the end: a directory may be read-only."""
    owners: dict[str, str] = field(default_factory=dict)
    """Path of a file or link -> the package it is from."""

    def __post_init__(self) -> None:
        for name in MERGED[:3]:  # lib64 is on amd64 alone; base-files knows
            self.link(name, f"usr/{name}", "the layout")

    def add(self, package: str, deb: Path) -> Control:
        """Unpack one .deb. Raises BuildError for what is not safe to unpack."""
        try:
            with deb.open("rb") as file:
                archive = ArFile(fileobj=file)
                with _part(archive, "control.tar", package) as part:
                    control = _control(part)
                with _part(archive, "data.tar", package) as data:
                    for member in data:
                        self._place(data, member, package)
        except _UNREADABLE as error:
            raise BuildError(f"{package}: not a Debian package that can be read: {error}") from error
        return control

    def remove(self, path: str) -> None:
        """Take a directory out again, with all below it."""
        shutil.rmtree(self.root / path)
        below = f"{path}/"
        self.directories = {p: mode for p, mode in self.directories.items() if not f"{p}/".startswith(below)}
        self.owners = {p: owner for p, owner in self.owners.items() if not p.startswith(below)}

    def finish(self) -> None:
        """Set the directories' modes: they were writable until now."""
        for path in sorted(self.directories, reverse=True):
            (self.root / path).chmod(self.directories[path])

    # -- one path -----------------------------------------------------------------------------------------

    def directory(self, path: str, mode: int, package: str) -> None:
        self._make_parents(path, package)
        if path in self.owners:
            raise self._refusal(
                package, path, f"is a directory here, and a file or link in {self.owners[path]}"
            )
        if path not in self.directories:
            (self.root / path).mkdir()
        self.directories[path] = mode & 0o1777 | 0o700

    def file(self, path: str, content: bytes, mode: int, package: str) -> None:
        self._claim(path, package)
        target = self.root / path
        target.write_bytes(content)
        target.chmod(mode & 0o777 | 0o400)

    def link(self, path: str, target: str, package: str) -> None:
        """A symbolic link. An absolute target becomes relative; one that leaves the tree is refused."""
        relative = _relative(path, target)
        if relative is None:
            raise self._refusal(package, path, f"links to {target}, outside the tree")
        if path in self.owners and _is_link(self.root / path, relative):
            return
        self._claim(path, package)
        (self.root / path).symlink_to(relative)

    def hard_link(self, path: str, source: str, package: str) -> None:
        if is_left_out(source) or self.owners.get(source) != package or (self.root / source).is_symlink():
            raise self._refusal(
                package, path, f"is a hard link to {source}, which the package has not brought"
            )
        self._claim(path, package)
        (self.root / path).hardlink_to(self.root / source)

    def _place(self, data: tarfile.TarFile, member: tarfile.TarInfo, package: str) -> None:
        path = self._path(member.name, package)
        if (path in ("", *MERGED) and member.isdir()) or is_left_out(path):
            return
        if member.isdir():
            self.directory(path, member.mode, package)
        elif member.issym():
            self.link(path, member.linkname, package)
        elif member.islnk():
            self.hard_link(path, self._path(member.linkname, package), package)
        elif member.isreg():
            self.file(path, _read(data, member), member.mode, package)
        else:
            raise self._refusal(package, path, "is a device or a pipe")

    def _path(self, name: str, package: str) -> str:
        """Where a member goes, from the root of the tree, behind the links of the merged /usr."""
        if name.startswith("/") or ".." in name.split("/"):
            raise self._refusal(package, name, "leaves the tree")
        path = posixpath.normpath(name)
        path = "" if path == "." else path
        first, _, rest = path.partition("/")
        return f"usr/{path}" if rest and first in MERGED else path

    def _claim(self, path: str, package: str) -> None:
        self._make_parents(path, package)
        if path in self.owners or path in self.directories:
            raise self._refusal(package, path, f"is also in {self.owners.get(path, 'another package')}")
        self.owners[path] = package

    def _make_parents(self, path: str, package: str) -> None:
        parent = posixpath.dirname(path)
        if parent and parent not in self.directories:
            self.directory(parent, 0o755, package)

    def _refusal(self, package: str, path: str, why: str) -> BuildError:
        return BuildError(f"{package} cannot be unpacked: {path} {why}", "leave it out of [image] packages")


def _part(archive: ArFile, name: str, package: str) -> tarfile.TarFile:
    found = next((member for member in archive.getnames() if member.startswith(name)), None)
    if found is None:
        raise BuildError(f"{package}: not a Debian package: it has no {name}")
    read = _READERS.get(found.removeprefix(name))
    if read is None:
        raise BuildError(f"{package}: {found}: this compression cannot be read yet; expected .xz or .gz")
    return tarfile.open(fileobj=io.BytesIO(read(archive.getmember(found).read())), mode="r:")


def _control(part: tarfile.TarFile) -> Control:
    members = {posixpath.normpath(member.name): member for member in part}
    return Control(_read(part, members["control"]).decode(), frozenset(members) & _SCRIPTS)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    return content.read() if content else b""


def _relative(path: str, target: str) -> str | None:
    """The target as seen from the link, `..` at its start alone; None when it is outside the tree."""
    above = "" if target.startswith("/") else posixpath.dirname(path)
    inside = posixpath.normpath(posixpath.join(above, target.lstrip("/")) or ".")
    if inside == ".." or inside.startswith("../"):
        return None
    return posixpath.relpath(f"/{inside}", f"/{posixpath.dirname(path)}")


def _is_link(path: Path, target: str) -> bool:
    return path.is_symlink() and str(path.readlink()) == target
