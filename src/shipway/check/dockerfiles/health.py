"""The rule about HEALTHCHECK."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.bases import read_image
from shipway.check.dockerfiles.installs import installs
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.bases import Image
    from shipway.check.dockerfiles.subject import Dockerfile

_FULL = frozenset({"python", "node", "buildpack-deps"})
"""Images that have both tools, in their full variant."""
_KNOWN = frozenset({*_FULL, "debian", "ubuntu", "alpine"})
_PYTHON = (
    "python -c \"import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)\""
)


def health_check_can_run(dockerfile: Dockerfile) -> Iterator[Seen]:
    """The program that HEALTHCHECK runs is in the image.

    Slim and distroless images have no curl. The check fails for ever, and an engine that heeds it takes the
    container for dead.
    """
    installed = {p for i in dockerfile.stages.in_image("RUN") for n in installs(i) for p in n.packages}
    base = read_image(dockerfile.stages.base.image or "")
    for instruction in dockerfile.stages.in_image("HEALTHCHECK"):
        for tool in re.findall(r"\b(?:curl|wget)\b", instruction.text)[:1]:
            if tool not in installed and _lacks(base, tool):
                message = f"HEALTHCHECK runs {tool}, and {base.text} has none"
                yield Seen(message, f"ask with Python: {_PYTHON}", instruction.line)


def _lacks(base: Image, tool: str) -> bool:
    if base.name == "alpine" or "alpine" in base.tag:
        return tool != "wget"
    if "distroless" in base.text or "slim" in base.tag:
        return True
    return base.name in _KNOWN and base.name not in _FULL
