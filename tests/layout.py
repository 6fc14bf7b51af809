"""Image layouts for tests: each layer a mapping of paths to content, as any builder might have written it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

SITE = "app/.venv/lib/python3.13/site-packages"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
Files = Mapping[str, bytes]


def tar(files: Files) -> bytes:
    """A tar of the files in the order given; a path that ends in / is a directory."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            header = tarfile.TarInfo(path.rstrip("/"))
            header.size = len(content)
            header.type = tarfile.DIRTYPE if path.endswith("/") else tarfile.REGTYPE
            archive.addfile(header, io.BytesIO(content))
    return sink.getvalue()


def distribution(name: str, version: str, files: Files, requires: Sequence[str] = ()) -> dict[str, bytes]:
    """A wheel as it is when installed into SITE."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    metadata = "\n".join([*lines, "", "A description.", "Name: another"]).encode()
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/METADATA", f"{info}/RECORD"]).encode()
    whole = {**files, f"{info}/METADATA": metadata, f"{info}/RECORD": record}
    return {f"{SITE}/{path}": content for path, content in whole.items()}


def config(
    layers: Sequence[bytes],
    settings: Mapping[str, Any],
    platform: str = "linux/amd64",
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """An image's config; its layers have these names, or are counted."""
    system, architecture = platform.split("/")
    return {
        "os": system,
        "architecture": architecture,
        "config": dict(settings),
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [
            {"created_by": "ENV A=b", "empty_layer": True},
            *({"created_by": f"shipway: {name}"} for name in names),
            *({"created_by": f"shipway: layer {number}"} for number in range(len(names), len(layers))),
        ],
    }


def write_layout(
    root: Path,
    images: Mapping[str, Sequence[Files]],
    settings: Mapping[str, Any] = {"WorkingDir": "/app"},
    platforms: Sequence[str] = ("linux/amd64",),
    names: Sequence[str] = (),
) -> Path:
    """An OCI layout with gzipped layers; with several platforms each name is an index."""
    top = []
    for name, layers in images.items():
        manifests = [_manifest(root, layers, settings, platform, names) for platform in platforms]
        if len(manifests) == 1:
            top.append(manifests[0] | {"annotations": {"org.opencontainers.image.ref.name": name}})
        else:
            index = _store(root, json.dumps({"mediaType": INDEX, "manifests": manifests}).encode())
            top.append(index | {"annotations": {"org.opencontainers.image.ref.name": name}})
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": top}))
    return root


def attach(root: Path, subject: str, artifact_type: str) -> dict[str, Any]:
    """A document about the image with this digest; returns the entry for the layout's index."""
    config = _store(root, b"{}")
    document = {"mediaType": MANIFEST, "config": config, "layers": [], "subject": {"digest": subject}}
    manifest = _store(root, json.dumps({**document, "artifactType": artifact_type}).encode())
    return manifest | {"artifactType": artifact_type}


def docker_archive(name: str, layers: Sequence[Files], settings: Mapping[str, Any] = {}) -> bytes:
    """What `docker save` of an old engine writes: plain layers, equal ones as links, the manifest last."""
    tars = [tar(layer) for layer in layers]
    text = json.dumps(config(tars, settings)).encode()
    image = hashlib.sha256(text).hexdigest()
    manifest = [
        {
            "Config": f"{image}.json",
            "RepoTags": [name],
            "Layers": [f"{number}/layer.tar" for number, _ in enumerate(tars)],
        }
    ]
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for number, data in enumerate(tars):
            header = tarfile.TarInfo(f"{number}/layer.tar")
            if data in tars[:number]:
                header.type, header.linkname = tarfile.SYMTYPE, f"../{tars.index(data)}/layer.tar"
                data = b""
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
        for path, data in ((f"{image}.json", text), ("manifest.json", json.dumps(manifest).encode())):
            header = tarfile.TarInfo(path)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return sink.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _manifest(
    root: Path, layers: Sequence[Files], settings: Mapping[str, Any], platform: str, names: Sequence[str] = ()
) -> dict[str, Any]:
    tars = [tar(layer) for layer in layers]
    image = _store(root, json.dumps(config(tars, settings, platform, names)).encode())
    blobs = [_store(root, gzip.compress(data, mtime=0)) for data in tars]
    manifest = _store(root, json.dumps({"mediaType": MANIFEST, "config": image, "layers": blobs}).encode())
    system, architecture = platform.split("/")
    return manifest | {"platform": {"os": system, "architecture": architecture}}


def _store(root: Path, data: bytes) -> dict[str, Any]:
    path = root / "blobs" / digest(data).replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"digest": digest(data), "size": len(data)}
