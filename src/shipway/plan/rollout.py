"""(Loaded spec) -> RolloutPlan: how a revision reaches its users, for one environment.

In: a loaded agent.toml. Out: a frozen value that every engine of rollouts starts from, ours and others'.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.spec import model

AT_ONCE = 100
"""The weight of a rollout without steps, in percent."""

_HOLDS_PER_IDLE = 4
_USUAL_S = 300.0
"""After so long without a turn control counts a conversation as over, unless it is told of less."""


@dataclass(frozen=True, slots=True)
class Step:
    """The canary's share of new conversations, in percent, and how long it stays so at least.

    Without `hold_s` until the gates have decided; at 100, with nobody left to compare with, not at all. A
    step below 100 that holds is also how some users are kept on stable to compare with until the end: a last
    step of 95 holds 5 % back.
    """

    weight: int
    hold_s: float | None = None


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """Steps of rising weight, the last one 100; `metrics` are the gates, each with its margin or its default.

    `alpha` is how often the gates together may find a revision worse that is not. `suite` says that a paired
    run of the evals comes before the first step. `notify` is the secret that holds a webhook's URL.
    """

    name: str
    environment: str
    steps: tuple[Step, ...]
    metrics: dict[str, float | None] = field(default_factory=dict)
    alpha: float = 0.05
    suite: bool = False
    notify: str | None = None

    @property
    def watched(self) -> dict[str, dict[str, float]]:
        """What live conversations are compared by, as control takes it for a gate. Evals are not among it:
        the paired suite before the first step has judged by those, and nobody reports pairs while users are
        served."""
        live = {name: margin for name, margin in self.metrics.items() if name != "evals"}
        return {name: {} if margin is None else {"margin": margin} for name, margin in live.items()}

    @property
    def gate(self) -> dict[str, Any]:
        """How a gate judges, as control takes it (`PUT /v1/gates/CANARY`): all but who and whom.

        Where steps are short, conversations are over sooner (`idle_s`): else a step would end before any of
        the conversations that it is about. Control takes a second at least.
        """
        shortest = min((step.hold_s for step in self.steps if step.hold_s), default=inf)
        idle_s = max(1.0, shortest / _HOLDS_PER_IDLE)
        told = {"idle_s": idle_s} if idle_s < _USUAL_S else {}
        return {"metrics": self.watched, "alpha": self.alpha, **told}


def plan_rollout(spec: model.Spec, environment: str) -> RolloutPlan:
    """The plan. Without `[rollout]` everybody gets a new revision at once, and nothing judges it."""
    said = spec.rollout
    steps = tuple(Step(step.weight, step.hold) for step in said.steps) if said else (Step(AT_ONCE),)
    return RolloutPlan(
        name=spec.name,
        environment=environment,
        steps=steps,
        metrics=_metrics(said.gates) if said else {},
        alpha=said.alpha if said else 0.05,
        suite=bool(said and said.gates.evals and spec.evals),
        notify=spec.notify.webhook if spec.notify else None,
    )


def _metrics(gates: model.Gates) -> dict[str, float | None]:
    named = {name: getattr(gates, name) for name in type(gates).model_fields}
    return {name: gate.margin for name, gate in named.items() if gate is not None}
