"""[rollout] -> how ECS deploys: its own canary, and control as its lifecycle hook.

In: a stack and its RolloutPlan, or none. Out: a deployment configuration as a JSON value; ${NAME} is of the
account. ECS has one share, and then all; alarms take it back at any time.

With gates the hook keeps the hold, since it is asked every half a minute and a bake time is not: a canary
that is worse goes back at once, and not at the hour. Without gates the hold is ECS's bake time.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from shipway.render import gate
from shipway.render.ecs.service import NEW_FIRST

if TYPE_CHECKING:
    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan

PERCENT = 5.0
MINUTES = 60
BAKE_MINUTES = 10
"""What a stack without [rollout] has."""
_DAY_MINUTES = 24 * 60
"""Until a canary about which nothing was decided goes back: ECS's own default."""


def is_gated(rollout: RolloutPlan | None) -> bool:
    """Whether control decides."""
    return rollout is not None and bool(rollout.watched) and rollout.steps[0].weight < gate.WHOLE


def deployment(plan: StackPlan, rollout: RolloutPlan | None) -> dict[str, Any]:
    """A small share first, and what takes it back."""
    gated = is_gated(rollout)
    return {
        "strategy": "CANARY",
        "canaryConfiguration": {
            "canaryPercent": percent(rollout),
            "canaryBakeTimeInMinutes": 0 if gated else minutes(rollout),
        },
        "bakeTimeInMinutes": _last_minutes(rollout),
        "alarms": {"alarmNames": ["${ALARMS}"], "enable": True, "rollback": True},
        **({"lifecycleHooks": [_hook(plan, rollout)]} if rollout and gated else {}),
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},  # of rolling deployments alone
        **NEW_FIRST,
    }


def percent(rollout: RolloutPlan | None) -> float:
    """Of the traffic, for the canary: the first weight."""
    return float(rollout.steps[0].weight) if rollout else PERCENT


def minutes(rollout: RolloutPlan | None) -> int:
    """How long it has that: the holds of all steps below 100 together, a day at most."""
    if rollout is None:
        return MINUTES
    held = sum(step.hold_s or 0.0 for step in rollout.steps if step.weight < gate.WHOLE)
    return min(ceil(held / 60), _DAY_MINUTES)


def _last_minutes(rollout: RolloutPlan | None) -> int:
    """How long both run after that."""
    held = rollout.steps[-1].hold_s if rollout else None
    return BAKE_MINUTES if held is None else min(ceil(held / 60), _DAY_MINUTES)


def _hook(plan: StackPlan, rollout: RolloutPlan) -> dict[str, Any]:
    """Asked before each shift of traffic; hook.py reads the details. A hold without data lasts twice as long,
    and a step without a hold a day: then ECS goes back."""
    held = minutes(rollout)
    decides = any(step.hold_s is None for step in rollout.steps if step.weight < gate.WHOLE)
    return {
        "targetType": "AWS_LAMBDA",
        "hookTargetArn": "${GATE_FUNCTION_ARN}",
        "roleArn": "${GATE_ROLE_ARN}",
        "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
        "hookDetails": {
            "deployment": gate.deployment(rollout),
            "canary": plan.revision,
            "gate": gate.body(rollout) | {"share": gate.share(rollout.steps[0].weight)},
            "hold_s": held * 60,
            "enough": "" if decides else "&enough=1",
        },
        "timeoutConfiguration": {
            "timeoutInMinutes": _DAY_MINUTES if decides else min(max(2 * held, 60), _DAY_MINUTES),
            "action": "ROLLBACK",
        },
    }
