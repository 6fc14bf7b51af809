"""[rollout] -> canaries, and the job that decides about them.

In: a stack and its RolloutPlan. Out: how many canaries there are, and the body of a job file. Nomad knows no
share of users, and counts instances; it has no hook either, so a small job asks control, and promotes or
fails the deployment through Nomad's API.
"""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.plan import container
from shipway.render import gate as gates
from shipway.render.hcl import Block
from shipway.render.nomad import gate as program
from shipway.render.nomad import templates
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.control import Control
    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan

GATE = "gate"
_EVERY_S = 15
_WEEK_S = 7 * 24 * 3600
"""How long the gates may take where they alone decide, before a person has to."""


def canaries(replicas: int, weight: int) -> int:
    """How many beside `replicas` of stable come nearest to a weight in percent from below; one at least, and
    of three and one, one is 25 %."""
    if weight >= gates.WHOLE:
        return replicas
    return max(1, replicas * weight // (gates.WHOLE - weight))


def is_decided(rollout: RolloutPlan | None) -> bool:
    """Whether canaries wait for the job's word."""
    return rollout is not None and rollout.steps[0].weight < gates.WHOLE


def gate_name(plan: StackPlan) -> str:
    return f"{plan.name}-gate"


def gate_variables(plan: StackPlan) -> dict[str, list[str]]:
    """What the job reads: a token of control with the role `operate`."""
    return {f"nomad/jobs/{gate_name(plan)}": [contract.env.CONTROL_TOKEN]}


def gate_task(plan: StackPlan, rollout: RolloutPlan, control: Control) -> dict[str, Any]:
    """A task in control's image, which has the Python that it needs, and nothing else does."""
    token = {contract.env.CONTROL_TOKEN: "env"}
    text = Path(program.__file__).read_text(encoding="utf-8")
    return {
        "driver": "docker",
        "user": container.USER,
        "config": Block(
            {
                "image": control.image,
                "entrypoint": [container.PYTHON, "-IS", "/local/gate.py"],
                "readonly_rootfs": True,
                "cap_drop": ["all"],
                "security_opt": ["no-new-privileges"],
            }
        ),
        "env": Block({"GATE": json.dumps(details(plan, rollout))}),
        "template": [
            templates.text("local/gate.py", text),
            *templates.secrets(token, gate_variables(plan)),
            templates.control(control.host, f"nomad/jobs/{gate_name(plan)}/{GATE}/{GATE}"),
        ],
        "identity": Block({"env": True}),
        "resources": Block({"cpu": 50, "memory": 64}),
    }


def details(plan: StackPlan, rollout: RolloutPlan) -> dict[str, Any]:
    """What gate.py is told. Time without data lasts twice as long, as everywhere."""
    below = [step for step in rollout.steps if step.weight < gates.WHOLE]
    hold_s = ceil(sum(step.hold_s or 0.0 for step in below))
    decides = any(step.hold_s is None for step in below)
    return {
        "job": plan.name,
        "group": "agent",
        "deployment": gates.deployment(rollout),
        "canary": plan.revision,
        "gate": gates.body(rollout) | {"share": None} if rollout.watched else None,
        "hold_s": hold_s,
        "patience_s": _WEEK_S if decides else 2 * hold_s,
        "every_s": _EVERY_S,
        "enough": "" if decides else "&enough=1",
    }
