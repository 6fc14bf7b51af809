"""An OCI layout -> the images of a container engine on this machine.

In: a layout directory as `oci.write_layout` makes it. Out: the engine knows the images by their references.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from typing import IO, TYPE_CHECKING, cast

from shipway.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = ("docker", "podman")


def load(layout: Path) -> str:
    """Give every image of the layout to the first engine on PATH; returns what the engine says.

    Raises BuildError when there is no engine or it refuses.
    """
    program = next((found for name in ENGINES if (found := shutil.which(name))), None)
    if program is None:
        raise BuildError(
            "no container engine to load the image into: neither docker nor podman is on PATH",
            f"the image is in {layout} as an OCI layout; any engine can take it from there",
        )
    with subprocess.Popen(
        [program, "load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        refused = _send(layout, cast("IO[bytes]", process.stdin))
        said = cast("IO[bytes]", process.stdout).read().decode(errors="replace").strip()
    if process.returncode or refused:
        raise BuildError(f"{program} load failed: {said}", "is the engine running, and may you talk to it?")
    return said


def _send(layout: Path, sink: IO[bytes]) -> bool:
    """Stream the layout as a tar; True when the engine stopped reading, which it explains itself."""
    try:
        with tarfile.open(mode="w|", fileobj=sink) as archive:
            archive.add(layout, arcname=".")
        sink.close()
    except BrokenPipeError:
        return True
    return False
