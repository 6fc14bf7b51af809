"""Files of an image -> those that were made for another machine than the image is for.

In: entries and the platform. Out: findings that name the file and the distribution it came with. A file's
first twenty bytes say it; distributions are looked up only when there is something to say. Source: the ELF
header in the System V ABI, chapter 4.
"""

from __future__ import annotations

import csv
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shipway.build.layers import Entry

HEADER = 20
"""Bytes that `machine` needs."""

_MAGIC = b"\x7fELF"
_LOADED = {2, 3}
"""Types of files that are run or loaded: executables, and shared objects. Not object files, not dumps."""
_MACHINES = {
    3: "386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "amd64",
    183: "arm64",
    243: "riscv64",
    258: "loong64",
}
"""By number, in the words of OCI platforms."""
_ACCELERATORS = {190, 224, 247}
"""CUDA, AMD GPUs, BPF: what a program hands to a device or to the kernel, on any machine."""
_NO_PROGRAMS = (".py", ".pyc", ".pyi", ".txt", ".md", ".json", ".h", ".html", ".js", ".css", ".typed")
_NAMED = re.compile(
    r"(?<![a-z0-9])(?:amd64|x86[-_]64|x64|x86|i[3-6]86|ia32|arm64|aarch64|armv?[67]l?|armhf|arm|ppc64(?:le|el)?"
    r"|powerpc64le|s390x|riscv64|loong(?:arch)?64|mips\w*)(?![a-z0-9])",
    re.IGNORECASE,
)
_TRIPLET = re.compile(r"[a-z0-9_]+-linux-(?:gnu|musl)\w*")
"""What the toolchain puts into paths by itself, as in `_x.cpython-313-x86_64-linux-gnu.so`."""


def machine(data: bytes) -> str | None:
    """The machine of an ELF file, in OCI's words: `amd64`, `arm64`, …; None if it is no ELF file."""
    if len(data) < HEADER or not data.startswith(_MAGIC):
        return None
    number = _number(data, 18)
    name = _MACHINES.get(number, f"ELF machine {number}")
    return "ppc64le" if name == "ppc64" and data[5] == 1 else name


def check_machines(entries: Iterable[Entry], platform: str) -> list[Finding]:
    """Programs and libraries for another machine than that of `platform` ("linux/arm64").

    Left alone: what lies in a directory of tests, code for accelerators, and files whose path names their
    machine: helpers for several machines side by side, of which a program picks one when it runs.
    """
    entries = list(entries)
    wanted = platform.split("/")[1]
    foreign = [
        (entry.path, found)
        for entry in entries
        if (found := _loaded_machine(entry)) not in (None, wanted) and not _is_meant(entry.path)
    ]
    owners = _owners(entries, {path for path, _ in foreign})
    return [_finding(path, found or "", platform, owners.get(path)) for path, found in sorted(foreign)]


def _finding(path: str, found: str, platform: str, owner: str | None) -> Finding:
    message = f"it is made for {found}, and the image is for {platform}; {owner or 'no distribution'} has it"
    fix = (
        f"take a version of {owner.split()[0]} that has a wheel for {platform}"
        if owner
        else f"make it for {platform}, or keep it out of the image"
    )
    return Finding("foreign-machine", message, fix, path)


def _number(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 2], "big" if data[5] == 2 else "little")


def _loaded_machine(entry: Entry) -> str | None:
    if entry.kind != "file" or entry.path.endswith(_NO_PROGRAMS):
        return None
    data = _head(entry.content)
    found = machine(data)
    if found is None or _number(data, 16) not in _LOADED or _number(data, 18) in _ACCELERATORS:
        return None
    return found


def _head(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content[:HEADER]
    with content.open("rb", buffering=0) as file:
        return file.read(HEADER)


def _is_meant(path: str) -> bool:
    directories = path.split("/")[:-1]
    return bool(
        {"tests", "test", "testdata"}.intersection(directories) or _NAMED.search(_TRIPLET.sub("", path))
    )


def _owners(entries: Sequence[Entry], paths: set[str]) -> dict[str, str]:
    """`name version` of the distribution whose RECORD lists each path."""
    owners: dict[str, str] = {}
    records = [e for e in entries if paths and e.path.endswith(".dist-info/RECORD")]
    for record in records:
        data = record.content.read_bytes() if isinstance(record.content, Path) else record.content
        information = posixpath.dirname(record.path)
        name = posixpath.basename(information).removesuffix(".dist-info").replace("-", " ", 1)
        rows = csv.reader(data.decode(errors="replace").splitlines())
        listed = {posixpath.normpath(f"{posixpath.dirname(information)}/{row[0]}") for row in rows if row}
        owners |= dict.fromkeys(listed & paths, name)
    return owners
