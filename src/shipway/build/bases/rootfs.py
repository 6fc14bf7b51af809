"""Layers of an image, from anybody -> a directory tree on this machine.

In: layers as streams, lowest first. Out: their files below one directory, as a container would see them, for
programs of the image that have to run here and for what has to be found in it. Nothing is written, read or
removed outside of the tree: every parent is resolved inside of it, and links are written so that they lead
nowhere else. No device is made, no owner and no set-user-ID is kept. Source: OCI image-spec 1.1, layer.md.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from shipway.build.inspection.contents import BoundedHeader, decompressed
from shipway.errors import BuildError

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_LINKS = 40
"""Symbolic links followed for one path, as Linux does."""


def unpack_layer(root: Path, name: str, blob: IO[bytes]) -> int:
    """Lay one layer over what is in `root`; returns the bytes of its files.

    `name` is said in errors. Raises BuildError for what is damaged, or would leave the tree.
    """
    layer = _Layer(root, name)
    try:
        _, stream = decompressed(blob)
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=BoundedHeader) as archive:
            while member := archive.next():
                archive.members.clear()  # type: ignore[attr-defined]  # or tarfile keeps every header
                layer.add(archive, member)
    except (tarfile.TarError, EOFError, zlib.error, RecursionError) as error:
        raise BuildError(f"{name} is damaged, or no tar: {error}") from error
    return layer.size


def inside(root: Path, path: str) -> Path:
    """Where `path` of the image is in the tree: links are followed, and none leads out.

    The last part need not exist. Raises BuildError for a loop of links.
    """
    parts, here, links = path.split("/"), root, 0
    while parts:
        part = parts.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            here = here if here == root else here.parent
            continue
        step = here / part
        if step.is_symlink():
            links += 1
            if links > _LINKS:
                raise BuildError(f"{path} of the image leads through a loop of links")
            target = str(step.readlink())
            here = root if target.startswith("/") else here
            parts = [*target.split("/"), *parts]
            continue
        here = step
    return here


@dataclass(slots=True)
class _Layer:
    """One layer on its way into the tree; `written` are the paths that it brought itself."""

    root: Path
    name: str
    size: int = 0
    written: set[Path] = field(default_factory=set)

    def add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = posixpath.normpath(f"./{member.name.lstrip('/')}")
        if path == ".." or path.startswith("../"):
            raise BuildError(f"{self.name} holds {member.name!r}, which leaves the image: refused")
        if path == ".":
            return
        parent = self._parent(posixpath.dirname(path))
        base = posixpath.basename(path)
        if base == _OPAQUE:
            self._empty(parent)
        elif base.startswith(_WHITEOUT):
            _remove(parent / base.removeprefix(_WHITEOUT))
        else:
            self._place(archive, member, parent / base)

    def _parent(self, directory: str) -> Path:
        parent = inside(self.root, directory)
        if not parent.is_dir():
            missing = parent
            while not missing.exists() and not missing.is_symlink():
                missing = missing.parent
            if not missing.is_dir():
                _remove(missing)
            parent.mkdir(parents=True, exist_ok=True)
        return parent

    def _place(self, archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
        if not (member.isdir() and target.is_dir() and not target.is_symlink()):
            _remove(target)
        if member.isdir():
            target.mkdir(exist_ok=True)
        elif member.issym():
            target.symlink_to(self._kept_inside(target, member.linkname))
        elif member.islnk():
            self._link(target, member.linkname)
        elif member.isreg() and (content := archive.extractfile(member)):
            with target.open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            target.chmod(member.mode & 0o755 | 0o600)
            self.size += member.size
        else:
            return  # a device or a pipe: nothing that is looked for here
        self.written.add(target)

    def _kept_inside(self, link: Path, target: str) -> str:
        """The target as seen from the link; `..` at the top of the image stays there, as in a container."""
        here = "/" + posixpath.dirname(link.relative_to(self.root).as_posix())
        whole = posixpath.normpath(posixpath.join(here, target))
        return posixpath.relpath("/" + whole.lstrip("/"), here)

    def _link(self, target: Path, source: str) -> None:
        path = posixpath.normpath(f"/{source}")
        found = inside(self.root, posixpath.dirname(path)) / posixpath.basename(path)
        if not found.is_symlink() and not found.is_file():
            raise BuildError(f"{self.name} holds a hard link to {source}, which is not in the image")
        os.link(found, target, follow_symlinks=False)

    def _empty(self, directory: Path) -> None:
        """Take away what lower layers brought; what this one did stays."""
        for child in directory.iterdir():
            if not any(path == child or child in path.parents for path in self.written):
                _remove(child)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
