"""Sources of pure-Python distributions -> wheels in the cache, for those that no index has a wheel of.

In: a directory of the project, or a pinned source distribution. Out: a wheel that depends on the content
alone: written again with fixed times, in order. uv builds on the host in isolation; a wheel that is not pure
Python would carry the host's machine into the image, so it is refused.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.cache import digest_of
from shipway.build.environments.declared import explicit_indexes
from shipway.build.environments.uv import run_uv
from shipway.build.writing import is_whole, replacing
from shipway.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shipway.build.cache import Cache
    from shipway.spec.shipwaylock import Pin

LAYOUT = 1
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold
_NOT_SOURCE = {"__pycache__", "build", "dist", "node_modules", "venv"}
_OF_INSTALLERS = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_build.json", "uv_cache.json"}
_DOCKERFILE = (
    "pin a version that has a wheel, publish one to an index of yours, or build the image from a "
    "Dockerfile, where compilers can run"
)


def local_wheel(name: str, source: Path, cache: Cache) -> Path:
    """The wheel of a directory of the project, or of a wheel file in it; built unless its content is known.

    Raises ResolveError when there is no source, it does not build, or is not pure Python.
    """
    if not source.exists():
        raise ResolveError(f"{name} is to come from {source}, which is not there", "correct its path")
    key = digest_of("local", LAYOUT, name, list(_content(source)))
    if known := _known(key, cache):
        return known
    with cache.working() as directory:
        if source.is_dir():
            # any Python will do for a pure wheel: the one that is here, whatever requires-python says
            options = ("--wheel", "--out-dir", str(directory), "--python", sys.executable)
            run_uv(("build", *options, str(source)), f"build {name} from {source}")
            (made,) = directory.glob("*.whl")
        else:
            made = source
        with zipfile.ZipFile(made) as archive:
            files = {item.filename: archive.read(item) for item in archive.infolist() if not item.is_dir()}
        return _keep(name, files, key, cache)


def source_wheel(pin: Pin, options: Sequence[str], root: Path, cache: Cache, indexes: str = "") -> Path:
    """The wheel of a pinned source distribution, which is verified by its hashes before anything runs.

    `options` name the platform; `root` is the project, whose uv settings count, and `indexes` are lines of a
    requirements file that say where else to look. Raises ResolveError when it does not build or is not pure
    Python, TamperedError and UnreachableError.
    """
    key = digest_of("source", LAYOUT, pin.name, pin.version, sorted(pin.hashes))
    if known := _known(key, cache):
        return known
    with cache.working() as directory:
        wanted = directory / "wanted.txt"
        wanted.write_text(
            indexes + " ".join([f"{pin.name}=={pin.version}", *(f"--hash={h}" for h in pin.hashes)]) + "\n"
        )
        place = ("--target", str(directory / "tree"), "--no-deps", "--require-hashes")
        try:
            run_uv(
                (
                    *("pip", "install", *options, *explicit_indexes(root)),
                    *("--no-binary", pin.name, *place, "--requirements", str(wanted)),
                ),
                f"build {pin.name}=={pin.version}, which has no wheel for this platform",
                cwd=root,
            )
        except ResolveError as error:
            raise ResolveError(str(error), _DOCKERFILE) from error
        return _keep(pin.name, dict(_installed(directory / "tree")), key, cache)


def split_built(pins: str, cache: Cache) -> tuple[str, tuple[Path, ...]]:
    """The pins that an index has, and the wheels that were built here for the others."""
    lines, wheels = [], []
    for line in pins.splitlines():
        found = sorted((cache.root / "wheels" / line.rpartition("--hash=sha256:")[2]).glob("*.whl"))
        if "--hash=" in line and found:
            wheels += found
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines), tuple(wheels)


def wheel_sha256(wheel: Path) -> str:
    """Of a wheel that was built here: its directory in the cache is named so."""
    return wheel.parent.name


def _content(source: Path) -> Iterator[tuple[str, str]]:
    """Each file of a source tree with its digest, but what tools leave there; sorted."""
    if source.is_file():
        yield source.name, hashlib.sha256(source.read_bytes()).hexdigest()
        return
    for directory, names, files in os.walk(source):
        names[:] = sorted(
            n for n in names if n not in _NOT_SOURCE and not n.startswith(".") and "egg-info" not in n
        )
        for file in sorted(files):
            path = Path(directory, file)
            if path.is_file():
                yield path.relative_to(source).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()


def _installed(tree: Path) -> Iterator[tuple[str, bytes]]:
    """The members of the wheel that uv has installed: without what installers add."""
    (record,) = tree.glob("*.dist-info/RECORD")
    info = record.parent
    for row in csv.reader(record.read_text(encoding="utf-8").splitlines()):
        place, _, name = row[0].partition("/")
        file = tree / row[0]
        if (place == info.name and name in _OF_INSTALLERS) or not file.is_file():
            continue
        if place == "bin":
            if f"{name} =" in _entry_points(info) or f"{name}=" in _entry_points(info):
                continue  # made again from the entry points
            yield f"{info.name.removesuffix('.dist-info')}.data/scripts/{name}", file.read_bytes()
        elif place in ("etc", "share", "include", "man"):
            yield f"{info.name.removesuffix('.dist-info')}.data/data/{row[0]}", file.read_bytes()
        else:
            yield row[0], file.read_bytes()


def _entry_points(info: Path) -> str:
    file = info / "entry_points.txt"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _keep(name: str, files: Mapping[str, bytes], key: str, cache: Cache) -> Path:
    """Write the wheel in its fixed form into the cache, and remember what it was made from."""
    info = next((path.partition("/")[0] for path in files if path.endswith(".dist-info/WHEEL")), "")
    tags = [
        line.partition(":")[2].strip()
        for line in files.get(f"{info}/WHEEL", b"").decode().splitlines()
        if line.startswith("Tag:")
    ]
    if not any(tag.endswith("-none-any") and "py3" in tag for tag in tags):
        seen = ", ".join(tags) or "no wheel"
        raise ResolveError(
            f"{name} has no wheel for the image's platform, and its source builds to one of {seen}; only "
            "pure Python (py3-none-any) is built on the host",
            _DOCKERFILE,
        )
    data = _zip(files, f"{info}/RECORD")
    sha256 = hashlib.sha256(data).hexdigest()
    wheel = cache.directory("wheels", sha256) / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    with replacing(wheel) as sink:
        sink.write(data)
    cache.write_text(cache.directory("built") / key, f"{sha256}/{wheel.name}")
    return wheel


def _known(key: str, cache: Cache) -> Path | None:
    record = cache.root / "built" / key
    wheel = cache.root / "wheels" / record.read_text() if record.is_file() else None
    return wheel if wheel and is_whole(wheel, f"sha256:{wheel_sha256(wheel)}") else None


def _zip(files: Mapping[str, bytes], record: str) -> bytes:
    """Stored, not deflated: zlib's output differs between its versions."""
    members = {path: data for path, data in sorted(files.items()) if path != record}
    rows = [f"{_quoted(path)},sha256={_urlsafe(data)},{len(data)}" for path, data in members.items()]
    members[record] = ("\n".join([*rows, f"{record},,"]) + "\n").encode()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path, data in members.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = (0o100755 if ".data/scripts/" in path else 0o100644) << 16
            archive.writestr(entry, data)
    return sink.getvalue()


def _quoted(path: str) -> str:
    return f'"{path}"' if "," in path else path


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
