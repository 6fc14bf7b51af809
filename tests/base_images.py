"""Images to build on, for tests: the Python that runs the tests, laid out as public images lay theirs out.

In: a directory. Out: an OCI layout of an image like python:slim: Python in /usr/local, its libraries, its
certificates, no packages. Everything in it is a file of this machine, so nothing is downloaded.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
VERSION = ".".join(map(str, sys.version_info[:3]))
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
PLATFORM = f"linux/{ARCH}"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ENV = ("PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/bin", "LANG=C", "TEAM=platform")
_SYSTEM = ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6")
"""What any image with a C library has, and wheels may want."""
_LEFT_OUT = shutil.ignore_patterns("site-packages", "dist-packages", "test", "idlelib", "__pycache__", "*.a")


def slim_tree(root: Path) -> Path:
    """A root file system with this Python in /usr/local and the shared libraries that it needs."""
    prefix, local = Path(sys.base_prefix), root / "usr/local"
    (local / "bin").mkdir(parents=True)
    (local / "lib").mkdir()
    program = Path(sys.executable).resolve()
    shutil.copy(program, local / f"bin/python{MINOR}")
    (local / "bin/python3").symlink_to(f"python{MINOR}")
    shutil.copytree(
        prefix / f"lib/python{MINOR}", local / f"lib/python{MINOR}", ignore=_LEFT_OUT, symlinks=True
    )
    modules = (local / f"lib/python{MINOR}/lib-dynload").glob("*.so")
    libraries = root / "usr/lib" / _triplet()
    libraries.mkdir(parents=True)
    system = [file for name in _SYSTEM if (file := Path("/lib") / _triplet() / name).exists()]
    for library in sorted({*_libraries([program, *modules]), *system}):
        shutil.copy(library, libraries)
    (root / "lib").symlink_to("usr/lib")
    (root / "lib64").symlink_to(f"/usr/lib/{_triplet()}")  # absolute, as some images have it
    for directory in ("tmp", "root", "etc/ssl/certs"):
        (root / directory).mkdir(parents=True)
    shutil.copy(Path("/") / BUNDLE, root / BUNDLE)
    return root


def _triplet() -> str:
    return {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[ARCH]


def _libraries(programs: Sequence[Path]) -> set[Path]:
    listed = subprocess.run(("ldd", *map(str, programs)), capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(?:=>\s*|^\s+)(/\S+) \(", listed, re.MULTILINE)}


def tar_of(root: Path) -> bytes:
    """An uncompressed layer of a tree."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for path in sorted(root.rglob("*")):
            archive.add(path, str(path.relative_to(root)), recursive=False, filter=_plain)
    return sink.getvalue()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def write_image(
    layout: Path, layers: Sequence[bytes], platforms: Sequence[str] = (PLATFORM,), env: Sequence[str] = ENV
) -> str:
    """An OCI layout of one image with these layers on every platform; returns its digest."""
    manifests = [_manifest(layout, layers, platform, env) for platform in platforms]
    top = manifests[0]
    if len(manifests) > 1:
        top = {"mediaType": INDEX} | _store(
            layout, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        )
    named = top | {"annotations": {"org.opencontainers.image.ref.name": "base:1"}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(top["digest"])


def _manifest(layout: Path, layers: Sequence[bytes], platform: str, env: Sequence[str]) -> dict[str, Any]:
    system, architecture = platform.split("/")
    config = {
        "os": system,
        "architecture": architecture,
        "config": {"Env": list(env), "Labels": {"vendor": "Example"}, "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(d).hexdigest()}" for d in layers]},
        "history": [
            {"created_by": '/bin/sh -c #(nop) CMD ["python3"]', "empty_layer": True},
            *({"created_by": f"RUN step {n} # buildkit"} for n, _ in enumerate(layers)),
        ],
    }
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json"} | _store(layout, config),
        "layers": [{"mediaType": LAYER} | _store(layout, gzip.compress(d, 1, mtime=0)) for d in layers],
    }
    return {
        "mediaType": MANIFEST,
        "platform": {"os": system, "architecture": architecture},
    } | _store(layout, document)


def _store(layout: Path, content: bytes | Mapping[str, Any]) -> dict[str, Any]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    path = layout / "blobs/sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}
