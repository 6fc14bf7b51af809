"""[rollout] -> the steps of a Rollout.

In: a RolloutPlan and the canary's revision. Out: Argo's steps. A weight, told to control; the hold; then an
analysis that has to pass, since a background analysis that never measured anything counts as a success.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from shipway.render import gate
from shipway.render.kubernetes.argo import analysis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.plan.rollout import RolloutPlan, Step
    from shipway.render.kubernetes.pod import Part

_FOR_EVER = 365 * 24 * 3600
"""Seconds that a step without a hold waits for the gates, before a person is asked."""


def steps(rollout: RolloutPlan, canary: str) -> list[Part]:
    """All of them, the paired suite first."""
    found = list(_suite(rollout, canary)) if rollout.suite else []
    return [*found, *(part for step in rollout.steps for part in _step(rollout, step, canary))]


def judged_from(rollout: RolloutPlan) -> int:
    """The number of the step after which control judges: the background analysis starts there."""
    before = 4 if rollout.suite else 0
    return before + 2


def asking(rollout: RolloutPlan, part: str, arguments: dict[str, str]) -> Part:
    """What runs a template: in a step, or in the background."""
    args = [{"name": name, "value": value} for name, value in arguments.items()]
    name = analysis.template_name(rollout, part)
    return {"templates": [{"templateName": name}], **({"args": args} if args else {})}


def _suite(rollout: RolloutPlan, canary: str) -> Iterator[Part]:
    """One pod that nobody is sent to. The Job fails where the canary is worse; what control keeps of its run
    tells a conclusion from none."""
    yield {"setCanaryScale": {"replicas": 1}}
    yield {"analysis": asking(rollout, analysis.SUITE, {})}
    yield {"analysis": asking(rollout, analysis.SUITE_VERDICT, {"canary": canary})}
    yield {"setCanaryScale": {"matchTrafficWeight": True}}


def _step(rollout: RolloutPlan, step: Step, canary: str) -> Iterator[Part]:
    judged, whole = bool(rollout.watched), step.weight == gate.WHOLE
    yield {"setWeight": step.weight}
    if judged and not (whole and step.hold_s is None):
        share = gate.share(step.weight)
        told = {"canary": canary, "share": "null" if share is None else f"{share:g}"}
        yield {"analysis": asking(rollout, analysis.BEGIN, told)}
    if step.hold_s is not None:
        yield {"pause": {"duration": f"{ceil(step.hold_s)}s"}}
    if judged and not whole:
        part = analysis.DECIDE if step.hold_s is None else analysis.HOLD
        looks = analysis.looks(ceil((step.hold_s or _FOR_EVER) / analysis.EVERY_S))
        yield {"analysis": asking(rollout, part, {"canary": canary, **looks})}
