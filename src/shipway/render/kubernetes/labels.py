"""Names and labels of objects.

In: a stack, and which part of it. Out: metadata, with the labels that Kubernetes recommends; and the few of
them that select, which a Deployment can never change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.plan.stack import StackPlan

AGENT = "agent"
CONTROL = "control"
EVALS = "evals"
_APP = "app.kubernetes.io"


def instance(plan: StackPlan) -> str:
    """One agent in one environment; Prometheus calls it a job."""
    return f"{plan.name}-{plan.environment}"


def selector(plan: StackPlan, component: str | None = None) -> dict[str, str]:
    """The pods of a component, or of the whole stack."""
    own = {f"{_APP}/name": plan.name, f"{_APP}/instance": instance(plan)}
    return own | ({f"{_APP}/component": component} if component else {})


def agents() -> dict[str, str]:
    """The agents of every stack of shipway's in a namespace."""
    return {f"{_APP}/component": AGENT, f"{_APP}/managed-by": "shipway"}


def labels(plan: StackPlan, component: str | None = None) -> dict[str, str]:
    """With the revision, where an object is of one; control would be started anew with each."""
    own = plan.revision if component not in (CONTROL, EVALS) else None
    version = {f"{_APP}/version": own} if own else {}
    return selector(plan, component) | version | {f"{_APP}/managed-by": "shipway"}


def metadata(plan: StackPlan, name: str, component: str | None = None) -> dict[str, Any]:
    namespace = {"namespace": plan.namespace} if plan.namespace else {}
    return {"name": name, **namespace, "labels": labels(plan, component)}
