"""A stack before its target.

In: a StackPlan and a target. Out: remarks about what the target has in another way; SpecError for what it
cannot have at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.render.targets.expressions import Refused, Whole
from shipway.render.targets.table import FEATURES

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan
    from shipway.render.targets.expressions import Target

RULE = "target"


def judge(plan: StackPlan, target: Target) -> tuple[str, ...]:
    """The remarks for this stack on this target. Raises SpecError with a finding for all that is refused."""
    remarks, findings = [], []
    for feature in FEATURES:
        names = feature.used(plan)
        expression = feature.by[target]
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
