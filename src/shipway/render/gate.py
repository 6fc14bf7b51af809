"""What an engine says to control when it begins to judge a canary, and what it asks.

In: a RolloutPlan. Out: JSON values and queries. No engine knows the stable revision by its name here: control
does (`"stable": null`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from shipway.plan.rollout import RolloutPlan

WHOLE = 100
"""The weight, in percent, at which there is nobody left to compare with."""


def body(rollout: RolloutPlan) -> dict[str, Any]:
    """The body of PUT /v1/gates/CANARY but for the share, which changes with each step."""
    return {"stable": None, **rollout.gate}


def share(weight: int) -> float | None:
    """Of new conversations; None where all of them are the canary's."""
    return weight / WHOLE if weight < WHOLE else None


def deployment(rollout: RolloutPlan) -> str:
    """The query that says which deployment is meant."""
    return urlencode({"name": rollout.name, "environment": rollout.environment})
