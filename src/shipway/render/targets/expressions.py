"""How a target has what a stack asks for: the words of the table.

In: nothing; these are the types. Out: `Whole`, `Otherwise`, `Refused`, and the `Feature` that has one for
each target, or the `RolloutFeature` that has one for each engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from shipway.plan.rollout import RolloutPlan
from shipway.plan.stack import StackPlan

Target = Literal["compose", "kubernetes", "ecs", "nomad"]
TARGETS: tuple[Target, ...] = ("compose", "kubernetes", "ecs", "nomad")
Engine = Literal["compose", "kubernetes", "argo", "ecs", "nomad"]
"""What carries a rollout out: a target as it is, or Argo Rollouts on Kubernetes."""
ENGINES: tuple[Engine, ...] = ("compose", "kubernetes", "argo", "ecs", "nomad")


@dataclass(frozen=True, slots=True)
class Whole:
    """The target has it as it is meant. `how`: by which of its own means."""

    how: str


@dataclass(frozen=True, slots=True)
class Otherwise:
    """The target has it in another way, or in part. `remark` is told to who uses it; {} are the names."""

    how: str
    remark: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The target cannot have it. `message` with {} for the names, and what to do."""

    message: str
    fix: str

    @property
    def how(self) -> str:
        return "refused"


Expression = Whole | Otherwise | Refused


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that a stack may ask for; `used` gives the names of what asks for it."""

    title: str
    used: Callable[[StackPlan], tuple[str, ...]]
    by: Mapping[Target, Expression]


@dataclass(frozen=True, slots=True)
class RolloutFeature:
    """The same of a rollout."""

    title: str
    used: Callable[[StackPlan, RolloutPlan], tuple[str, ...]]
    by: Mapping[Engine, Expression]
