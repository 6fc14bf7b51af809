"""Images of shipway's own servers: what it takes to run one of its packages in a container, and no more.

In: a server, and names of shipway's own files. Out: an ImagePlan, the same for every project. Its layers but
the last are those of a sidecar's image, so an engine that has one of these gets little more.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import shipway
from shipway.plan.image import RUNTIME, Base, BaseFacts, File, ImagePlan, Python, python_process, settle
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHIPWAY = PurePosixPath("shipway")
_LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class Server:
    """A package of shipway that is a program by itself: `python -m shipway.ROLE`.

    `packages` are those that it imports, itself among them, or single files of others: import-linter holds
    that there are no others. `extras` are the runtime's, whose requirements it needs. Without a `port` it
    listens nowhere. `user` is nobody, but where a server has to be somebody.
    """

    role: str
    packages: tuple[str, ...]
    arguments: tuple[str, ...]
    port: int | None
    extras: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    user: str | None = None

    @property
    def reference(self) -> str:
        """Its image's name on this machine, by which a stack finds it."""
        return f"shipway-{self.role}:{shipway.__version__}"

    def needs(self, file: str) -> bool:
        """Whether this file of shipway's is a part of it: of its packages, or a module that all share."""
        path = PurePosixPath(file)
        if path.parent == _SHIPWAY:
            return path.suffix == ".py"
        return any(path.is_relative_to(_SHIPWAY / package) for package in self.packages)


REPLAY = Server("replay", ("replay",), (contract.REPLAYS,), contract.REPLAY_PORT)
"""A directory of replays, served."""


def plan_own_image(
    server: Server, files: Iterable[str], repository: str, platforms: tuple[str, ...]
) -> ImagePlan:
    """`files` are paths below the directory that holds the package `shipway`; the server's are taken."""
    ports = () if server.port is None else (server.port,)
    address = [w for p in ports for w in ("--host", "0.0.0.0", "--port", str(p))]  # noqa: S104 - its network is its boundary
    arguments = ("-m", f"shipway.{server.role}", *server.arguments, *address)
    process = python_process(arguments, ports=ports, volumes=server.volumes)
    plan = ImagePlan(
        role=server.role,
        also=(),
        repository=repository,
        platforms=platforms,
        python=Python(),
        base=Base(),
        ca=None,
        environments=(dataclasses.replace(RUNTIME, runtime_extras=server.extras),),
        node=(),
        files=tuple(File(f"{contract.SOURCE}/{file}", file) for file in sorted(files) if server.needs(file)),
        manifest=None,
        process=dataclasses.replace(
            process, env=process.env | {"PYTHONPATH": contract.SOURCE}, user=server.user or process.user
        ),
        size_limit=None,
        version=shipway.__version__,
        licence=_LICENCE,
    )
    return settle(plan, BaseFacts())
