"""An OCI layout -> the images of a container engine on this machine.

In: a layout directory as `oci.write_layout` makes it. Out: the engine knows the images by their references.
It pulls them from an endpoint on our loopback, so that only the layers it lacks travel; an engine that cannot
reach it (Docker Desktop, a remote DOCKER_HOST) is given everything through `docker load`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from shipway.build.attachments.referrers import is_attached
from shipway.build.layout_server import Serving, serve
from shipway.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENGINES = ("docker", "podman")

_REF_NAME = "org.opencontainers.image.ref.name"
_REMOTE = ("tcp://", "ssh://", "http://", "https://")


def load(layout: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Give every image of the layout to the first engine on PATH; returns which road it took, in one line.

    Raises BuildError when there is no engine or it refuses.
    """
    program = next((found for name in ENGINES if (found := shutil.which(name))), None)
    if program is None:
        raise BuildError(
            "no container engine to load the image into: neither docker nor podman is on PATH",
            f"the image is in {layout} as an OCI layout; any engine can take it from there",
        )
    host = environ.get("CONTAINER_HOST" if Path(program).name == "podman" else "DOCKER_HOST", "")
    return give(program, layout, is_far=host.startswith(_REMOTE))


def give(program: str, layout: Path, *, is_far: bool) -> str:
    """The same, to the engine of this program; one that is far cannot pull from our loopback."""
    images = _images(layout)
    if is_far:
        return _load_all(program, layout, images, "the engine is on another machine")
    with serve(layout) as serving:
        refused = next(
            (why for ref, digest in images.items() if (why := _pull(program, serving, ref, digest))), ""
        )
        if not refused:
            return _summary(program, layout, images, serving)
    return _load_all(program, layout, images, refused)


def _images(layout: Path) -> dict[str, str]:
    """Digests by reference, without what is attached to the images."""
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    return {e["annotations"][_REF_NAME]: e["digest"] for e in entries if not is_attached(e)}


def _blobs(layout: Path, digest: str) -> set[str]:
    """All that an image consists of, from its manifest or index down."""
    document = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
    inner = {blob for entry in document.get("manifests", ()) for blob in _blobs(layout, entry["digest"])}
    parts = [*document.get("layers", ()), *([document["config"]] if "config" in document else ())]
    return {digest, *inner, *(part["digest"] for part in parts)}


def _pull(program: str, serving: Serving, reference: str, digest: str) -> str:
    """Pull, name, and forget the endpoint's own name; returns why it did not work, or nothing."""
    source = serving.reference(digest)
    insecure = ("--tls-verify=false",) if Path(program).name == "podman" else ()
    commands = (("pull", "--quiet", *insecure, source), ("tag", source, reference), ("rmi", source))
    for command in commands:
        done = subprocess.run((program, *command), capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or [f"{command[0]} failed"])[-1]
    return ""


def _summary(program: str, layout: Path, images: Mapping[str, str], serving: Serving) -> str:
    total = len({blob for digest in images.values() for blob in _blobs(layout, digest)})
    sent = f"{len(serving.sent)} of {total} blobs, {sum(serving.sent.values()) / 1e6:.1f} MB"
    return f"{Path(program).name} pulled {', '.join(images)} from this process: {sent}; it had the rest"


def _load_all(program: str, layout: Path, images: Mapping[str, str], why: str) -> str:
    with subprocess.Popen(
        [program, "load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        refused = _send(layout, cast("IO[bytes]", process.stdin))
        said = cast("IO[bytes]", process.stdout).read().decode(errors="replace").strip()
    if process.returncode or refused:
        raise BuildError(f"{program} load failed: {said}", "is the engine running, and may you talk to it?")
    return f"{Path(program).name} loaded {', '.join(images)} whole, because it could not pull: {why}"


def _send(layout: Path, sink: IO[bytes]) -> bool:
    """Stream the layout as a tar; True when the engine stopped reading, which it explains itself."""
    try:
        with tarfile.open(mode="w|", fileobj=sink) as archive:
            archive.add(layout, arcname=".")
        sink.close()
    except BrokenPipeError:
        return True
    return False
