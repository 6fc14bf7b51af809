"""(Spec) -> Control: the server that a fleet shares, as a part of a stack.

In: agent.toml, as it holds for an environment. Out: a frozen value. Agents find it under a name of its own;
one stack's control can be that of others, which are told where it is when they are deployed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.plan.own_image import Server
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.spec.model import Spec

CONTROL = Server(
    "control",
    ("control", "gate"),
    ("--data", contract.CONTROL_DATA),
    contract.CONTROL_PORT,
    extras=("postgres",),
    volumes=(contract.CONTROL_DATA,),
)
"""Its program, for `shipway control image`."""

_CPU, _MEMORY = 100, 256 * 1024**2
_VOLUME = 1024**3


@dataclass(frozen=True, slots=True)
class Control:
    """Control's container. `host` is the name by which agents find it.

    `database` names the agent's secret with a PostgreSQL URL, where agent.toml keeps conversations there:
    control has a schema of its own in it. Else it keeps one SQLite file in `data`, a volume of `size` bytes.
    `cpu` is in thousandths of a core, `memory` in bytes.
    """

    image: str
    host: str
    port: int
    data: str
    size: int
    database: str | None
    cpu: int = _CPU
    memory: int = _MEMORY

    @property
    def url(self) -> str:
        """Where agents of its network reach it."""
        return f"http://{self.host}:{self.port}"


def plan_control(spec: Spec) -> Control:
    """One for each stack; its image has the same name for every agent of a registry."""
    registry, slash, _ = (spec.image.repository or "").rpartition("/")
    return Control(
        image=f"{registry}{slash}{CONTROL.reference}",
        host=f"{spec.name}-control",
        port=contract.CONTROL_PORT,
        data=contract.CONTROL_DATA,
        size=_VOLUME,
        database=spec.storage.url.secret if spec.storage and spec.storage.url else None,
    )
