"""A root file system -> the Python in it, and how it runs on this machine.

In: a tree, and the environment that the image's config sets. Out: `Found`: where the interpreter is, its
exact version and C library, and the paths that it needs to be run through the tree's own loader. All of it is
read from the files (names, ELF headers, version strings), so it works for a machine that this host cannot
run. Nothing is assumed but that Python is on PATH or in one of the usual places.
"""

from __future__ import annotations

import posixpath
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.build.bases.rootfs import inside
from shipway.build.environments.elf import machine
from shipway.errors import BuildError
from shipway.plan.image import Python

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

OLDEST = (3, 11)
"""What shipway-runtime needs."""

_USUAL = ("/usr/local/bin", "/usr/bin", "/bin", "/opt/python/bin", "/opt/venv/bin", "/opt/conda/bin")
_PROGRAM = re.compile(r"python(3(\.\d+)?)?")
_LIBRARIES = ("/usr/local/lib", "/usr/lib", "/lib", "/usr/lib64", "/lib64", "/usr/local/lib64")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)
"""Where Debian and Alpine, Fedora, Alpine's minimal set and SUSE keep the certificates to trust."""
_PT_INTERP = 3
_WIDE = 2  # 64 bits


@dataclass(frozen=True, slots=True)
class Found:
    """A Python in a tree. `version` is exact, "3.13.9"; paths are the image's, links followed.

    `loader` runs `python.path` with the shared libraries of `libraries`; `home` is Python's own prefix.
    """

    python: Python
    version: str
    loader: str
    libraries: tuple[str, ...]
    home: str


def find_python(root: Path, environ: Mapping[str, str], name: str) -> Found:
    """The first Python that PATH finds in the tree. `name` is the base, as errors say it.

    Raises BuildError that says where it looked, or what is wrong with the one that was found.
    """
    places = [*environ.get("PATH", "").split(":"), *_USUAL]
    for place in dict.fromkeys(filter(None, places)):
        for program in _programs(inside(root, place)):
            file = inside(root, f"/{program.relative_to(root).as_posix()}")
            if file.is_file() and machine(_head(file)) and (found := _examined(root, file)):
                return _checked(found, name)
    looked = ", ".join(dict.fromkeys(filter(None, places)))
    raise BuildError(
        f"the base {name} has no Python: looked for python3 in {looked}",
        'take an image that has one, such as python:3.13-slim, or base = "minimal"',
    )


def find_certificates(root: Path) -> str:
    """The path of the bundle of trusted certificates; empty where the image has none."""
    return next((path for path in _BUNDLES if inside(root, path).is_file()), "")


def _programs(directory: Path) -> list[Path]:
    """`python3` before `python3.13` before `python`, as whoever types one would find them."""
    if not directory.is_dir():
        return []
    named = [path for path in directory.iterdir() if _PROGRAM.fullmatch(path.name)]
    return sorted(named, key=lambda path: (path.name != "python3", path.name == "python", path.name))


def _examined(root: Path, file: Path) -> Found | None:
    """What the program says of itself; None when it is no Python with its standard library beside it."""
    path = f"/{file.relative_to(root).as_posix()}"
    home = posixpath.dirname(posixpath.dirname(path))
    data = file.read_bytes()
    loader = _loader(data)
    if not loader:
        return None
    libraries = tuple(_libraries(root, home))
    for minor in _minors(root, home, file.name):
        if version := _version(root, minor, data, libraries):
            break
    else:
        return None
    real = f"/{inside(root, loader).relative_to(root).as_posix()}"
    return Found(Python(path, minor, _libc(root, real, libraries)), version, real, libraries, home)


def _checked(found: Found, name: str) -> Found:
    if tuple(map(int, found.python.version.split("."))) < OLDEST:
        raise BuildError(
            f"the base {name} has Python {found.version} ({found.python.path}), and the runtime needs "
            f"{OLDEST[0]}.{OLDEST[1]} or newer",
            "take an image with a newer Python",
        )
    if not found.python.libc:
        raise BuildError(
            f"the base {name}: the C library of its Python ({found.loader}) is neither glibc nor musl",
            "wheels are made for these two: take another image",
        )
    return found


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(64)


def _loader(data: bytes) -> str:
    """The dynamic loader that an ELF program names (PT_INTERP); empty for a static one."""
    order = "<" if data[5] == 1 else ">"
    if data[4] != _WIDE:
        return ""
    try:
        (table,) = struct.unpack_from(f"{order}Q", data, 32)
        size, count = struct.unpack_from(f"{order}HH", data, 54)
        for number in range(count):
            kind, _, offset, _, _, length = struct.unpack_from(f"{order}IIQQQQ", data, table + number * size)
            if kind == _PT_INTERP:
                return data[offset : offset + length].rstrip(b"\0").decode(errors="replace")
    except struct.error:  # cut short, or made up
        return ""
    return ""


def _libraries(root: Path, home: str) -> Iterator[str]:
    """Directories of shared libraries that the tree has: Python's own, then the system's."""
    triplets = (f"{place}/{name}" for place in ("/usr/lib", "/lib") for name in _triplets(root, place))
    for place in dict.fromkeys((f"{home}/lib", *triplets, *_LIBRARIES)):
        if inside(root, place).is_dir():
            yield place


def _triplets(root: Path, place: str) -> list[str]:
    directory = inside(root, place)
    return sorted(path.name for path in directory.glob("*-linux-*") if path.is_dir())


def _minors(root: Path, home: str, program: str) -> list[str]:
    """Versions whose standard library is below `home`, the one that the program is named after first."""
    found = {
        directory.name.removeprefix("python")
        for lib in ("lib", "lib64")
        for directory in inside(root, f"{home}/{lib}").glob("python3.*")
        if (directory / "os.py").is_file()
    }
    return sorted(found, key=lambda minor: (program != f"python{minor}", minor))


def _version(root: Path, minor: str, data: bytes, libraries: Sequence[str]) -> str:
    """The exact version, as it stands in the program or, for a small one, in its library.

    Linkers share the end of a string, so more than the version may stand before its final zero.
    """
    pattern = re.compile(rb"(?<![\d.])(%s\.\d{1,2}(?:(?:a|b|rc)\d{1,2})?)\+?\x00" % re.escape(minor).encode())
    for content in (data, *_libpython(root, minor, libraries)):
        if match := pattern.search(content):
            return match[1].decode()
    return ""


def _libpython(root: Path, minor: str, libraries: Sequence[str]) -> Iterator[bytes]:
    for place in libraries:
        for file in sorted(inside(root, place).glob(f"libpython{minor}.so*"), reverse=True):
            if file.is_file():
                yield file.read_bytes()


def _libc(root: Path, loader: str, libraries: Sequence[str]) -> str:
    """`glibc 2.41` or `musl 1.2.5`; empty where it is neither."""
    if posixpath.basename(loader).startswith("ld-musl"):  # which is the C library as well
        match = re.search(rb"\x00(1\.\d+\.\d+)\x00", _read(root, loader))
        return f"musl {match[1].decode() if match else '1.2'}"
    for content in (_read(root, f"{place}/libc.so.6") for place in libraries):
        if match := re.search(rb"GNU C Library [^\n\x00]*release version (\d+\.\d+)", content):
            return f"glibc {match[1].decode()}"
    return ""


def _read(root: Path, path: str) -> bytes:
    file = inside(root, path)
    return file.read_bytes() if file.is_file() else b""
