"""A stack before its target.

In: a StackPlan and a target, with a RolloutPlan and who carries it out. Out: remarks about what the target
has in another way; SpecError for what it cannot have at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.render.targets.expressions import Refused, Whole
from shipway.render.targets.rollouts import ROLLOUTS
from shipway.render.targets.table import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan
    from shipway.render.targets.expressions import Engine, Expression, Target

RULE = "target"


def judge(
    plan: StackPlan, target: Target, rollout: RolloutPlan | None = None, engine: Engine | None = None
) -> tuple[str, ...]:
    """The remarks for this stack on this target, and for its rollout; `engine` is the target itself, if not
    said. Raises SpecError with a finding for all that is refused."""
    remarks, findings = [], []
    for names, expression in _asked(plan, target, rollout, engine or target):
        if not names or isinstance(expression, Whole):
            continue
        listed = ", ".join(names)
        if isinstance(expression, Refused):
            message = f"{target}: {expression.message.format(listed)}"
            findings.append(Finding(RULE, message, expression.fix, "agent.toml"))
        else:
            remarks.append(expression.remark.format(listed))
    if findings:
        raise SpecError(findings)
    return tuple(remarks)


def _asked(
    plan: StackPlan, target: Target, rollout: RolloutPlan | None, engine: Engine
) -> Iterator[tuple[tuple[str, ...], Expression]]:
    """Names of what asks for each feature, and how it is had."""
    for feature in FEATURES:
        yield feature.used(plan), feature.by[target]
    for of_rollout in ROLLOUTS if rollout else ():
        assert rollout
        yield of_rollout.used(plan, rollout), of_rollout.by[engine]
