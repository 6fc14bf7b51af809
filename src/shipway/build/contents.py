"""A layer's blob -> what is in it, by distribution.

In: a gzipped tar with Python distributions. Out: the unpacked size of each, as its RECORD lists its files,
bytecode included; what belongs to none is left out.
"""

from __future__ import annotations

import csv
import posixpath
import tarfile
from typing import IO, TYPE_CHECKING

from shipway.build.bytecode import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAG = f"cpython-{PYTHON.replace('.', '')}"
"""What Python puts into the names of its bytecode files."""


def distribution_sizes(blob: Path) -> dict[str, int]:
    """`name version` -> bytes, for every distribution of the layer."""
    sizes: dict[str, int] = {}
    records: dict[str, str] = {}
    with tarfile.open(blob, "r|gz") as archive:
        for member in archive:
            sizes[member.name] = member.size
            if member.name.endswith(".dist-info/RECORD"):
                records[member.name] = _text(archive.extractfile(member))
    return {
        _name(record): sum(sizes.get(path, 0) for path in _files(record, text))
        for record, text in records.items()
    }


def _text(file: IO[bytes] | None) -> str:
    return file.read().decode() if file else ""


def _name(record: str) -> str:
    """`…/six-1.16.0.dist-info/RECORD` -> `six 1.16.0`."""
    return record.split("/")[-2].removesuffix(".dist-info").replace("-", " ", 1)


def _files(record: str, text: str) -> Iterator[str]:
    """Each listed file, and the bytecode that was made from it."""
    packages = record.rpartition("/")[0].rpartition("/")[0]
    for row in csv.reader(text.splitlines()):
        path = posixpath.normpath(f"{packages}/{row[0]}")
        yield path
        if path.endswith(".py"):
            directory, _, file = path.rpartition("/")
            yield f"{directory}/__pycache__/{file[:-3]}.{TAG}.pyc"
