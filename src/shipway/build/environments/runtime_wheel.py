"""The installed shipway-runtime -> a wheel of it, so that images and local environments get the very same.

In: the package as Python finds it (an editable installation, too) and its metadata. Out: a wheel in the
cache, byte for byte the same for the same files; its directory is named after its content. No index is asked.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.writing import is_whole, replacing
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator

DISTRIBUTION = "shipway-runtime"
PACKAGE = "shipway_runtime"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold
_WHEEL = "Wheel-Version: 1.0\nGenerator: shipway\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def runtime_wheel(cache: Path) -> Path:
    """The wheel of the installed runtime, below `cache`. Raises BuildError when none is installed."""
    version, members = _members()
    digest = hashlib.sha256()
    for name, data in members.items():
        digest.update(f"{len(name)} {name} {len(data)} ".encode() + data)
    directory = cache / "runtime" / digest.hexdigest()[:16]
    wheel = directory / f"{PACKAGE}-{version}-py3-none-any.whl"
    data = _zip(members, f"{PACKAGE}-{version}.dist-info/RECORD")
    if not is_whole(wheel, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)):
        with replacing(wheel) as sink:
            sink.write(data)
    return wheel


def _members() -> tuple[str, dict[str, bytes]]:
    """The version, and every file of the wheel but RECORD, by name, in order."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise BuildError(f"{DISTRIBUTION} is not installed", f"install it beside shipway: {DISTRIBUTION}")
    distribution = importlib.metadata.distribution(DISTRIBUTION)
    info = f"{PACKAGE}-{distribution.version}.dist-info"
    members = dict(_sources(Path(found.submodule_search_locations[0])))
    members[f"{info}/METADATA"] = (distribution.read_text("METADATA") or "").encode()
    members[f"{info}/WHEEL"] = _WHEEL.encode()
    if scripts := distribution.read_text("entry_points.txt"):
        members[f"{info}/entry_points.txt"] = scripts.encode()
    return distribution.version, members


def _sources(package: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{PACKAGE}/{path.relative_to(package).as_posix()}", path.read_bytes()


def _zip(members: dict[str, bytes], record: str) -> bytes:
    """Stored, not deflated: zlib's output differs between its versions."""
    rows = [f"{name},sha256={_urlsafe(data)},{len(data)}" for name, data in members.items()]
    rows.append(f"{record},,")
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (members | {record: ("\n".join(rows) + "\n").encode()}).items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return sink.getvalue()


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
