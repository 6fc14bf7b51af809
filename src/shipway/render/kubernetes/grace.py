"""How long a pod may take to end.

In: a stack. Out: terminationGracePeriodSeconds, and of what it is the sum. The runtime drains by itself:
readiness falls at the signal, the API port goes on accepting for DRAIN_DELAY_S while the news of it travels,
and turns in flight have `[health] grace`, which counts from the signal. So the agent needs no preStop, during
which it could tell its callers nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.plan.container import ENDING_S

if TYPE_CHECKING:
    from shipway.plan.stack import Sidecar, StackPlan

DRAIN_DELAY_S = 5
"""Until endpoints, proxies and balancers have heard that a pod ends; the runtime's own default is 2."""
_RELAY_S = 10
"""What a relay may take to end its server: a second for open calls, eight for the process."""


@dataclass(frozen=True, slots=True)
class Grace:
    """Seconds, one after the other."""

    turns: int
    ending: int
    sidecars: int

    @property
    def total(self) -> int:
        return self.turns + self.ending + self.sidecars

    def explained(self) -> str:
        """The sum, for people."""
        beside = f" + {self.sidecars} until the sidecars have ended" if self.sidecars else ""
        return (
            f"terminationGracePeriodSeconds: {self.total} = {self.turns} for turns in flight, "
            f"[health] grace + {self.ending} to end what is left{beside}.\n"
        )


def of_agent(plan: StackPlan, *, plain: bool) -> Grace:
    """Native sidecars end after the agent, one after the other; plain ones wait for it, and end together."""
    ending = min(1, len(plan.sidecars)) if plain else len(plan.sidecars)
    return Grace(math.ceil(plan.agent.grace_s), ENDING_S, _RELAY_S * ending)


def of_server(plan: StackPlan, server: Sidecar) -> tuple[int, int]:
    """Of an MCP server apart: the pause before SIGTERM, in which calls in flight end, and all together.

    A relay leaves open calls one second; until then nobody sends new ones.
    """
    (timeout,) = (known.timeout_s for known in plan.agent.mcp if known.name == server.name)
    pause = DRAIN_DELAY_S + math.ceil(timeout)
    return pause, pause + _RELAY_S
