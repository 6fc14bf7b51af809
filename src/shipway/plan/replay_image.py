"""The replay's own image: what it takes to serve a directory of replays from a container.

In: names of shipway's own files. Out: an ImagePlan, the same for every project. Its layers
but the last are those of a sidecar's image, so an engine that has one of these gets little more.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import shipway
from shipway.plan.image import RUNTIME, Base, BaseFacts, File, ImagePlan, Python, python_process, settle
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable

REFERENCE = f"shipway-replay:{shipway.__version__}"
"""Its name on this machine, by which a stack finds it."""

_SHIPWAY = PurePosixPath("shipway")
_LICENCE = "Apache-2.0"


def is_part(file: str) -> bool:
    """Whether the replay needs this file of shipway's: its package, and the modules that all packages share.

    `shipway.replay` may import nothing else (import-linter holds that), so nothing else can be missing.
    """
    path = PurePosixPath(file)
    return path.suffix == ".py" and (path.parent == _SHIPWAY or path.is_relative_to(_SHIPWAY / "replay"))


def plan_replay_image(files: Iterable[str], repository: str, platforms: tuple[str, ...]) -> ImagePlan:
    """`files` are paths below the directory that holds the package `shipway`; the replay's own are taken."""
    arguments = ("-m", "shipway.replay", contract.REPLAYS)
    address = ("--host", "0.0.0.0", "--port", str(contract.REPLAY_PORT))  # noqa: S104 - its network is its boundary
    process = python_process((*arguments, *address), ports=(contract.REPLAY_PORT,))
    plan = ImagePlan(
        role="replay",
        also=(),
        repository=repository,
        platforms=platforms,
        python=Python(),
        base=Base(),
        ca=None,
        environments=(RUNTIME,),
        node=(),
        files=tuple(File(f"{contract.SOURCE}/{file}", file) for file in sorted(files) if is_part(file)),
        manifest=None,
        process=dataclasses.replace(process, env=process.env | {"PYTHONPATH": contract.SOURCE}),
        size_limit=None,
        version=shipway.__version__,
        licence=_LICENCE,
    )
    return settle(plan, BaseFacts())
