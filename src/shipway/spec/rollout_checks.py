"""Rules for [rollout]."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from shipway.spec.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.errors import Finding
    from shipway.spec.merge import Merged
    from shipway.spec.model import Rollout, Spec

_ALL = 100
_RULE = "rollout-steps"
_STEPS = ("rollout", "steps")
_LADDER = '[{ weight = 5, hold = "1h" }, { weight = 100 }]'


def rollout_reaches_everyone(spec: Spec, merged: Merged) -> Iterator[Finding]:
    if spec.rollout is None:
        return
    weights = [step.weight for step in spec.rollout.steps]
    shown = listed(map(str, weights)) if weights else "empty"
    fix = f"write rising weights that end with {{ weight = 100 }}: {_LADDER}"
    if any(a >= b for a, b in itertools.pairwise(weights)):
        message = f"the weights of `rollout.steps` do not rise: {shown}"
        yield merged.finding(_RULE, _STEPS, message, fix)
    elif weights[-1:] != [_ALL]:
        yield merged.finding(_RULE, _STEPS, f"`rollout.steps` does not end at 100: {shown}", fix)


def gates_compare_with_somebody(spec: Spec, merged: Merged) -> Iterator[Finding]:
    """At 100 nobody is on stable any more."""
    if spec.rollout is None or not spec.rollout.steps or spec.rollout.steps[0].weight < _ALL:
        return
    for name in _live(spec.rollout):
        both = "compares users of both revisions, and the first step has nobody on stable"
        message = f"`rollout.gates.{name}` {both}"
        path = ("rollout", "gates", name)
        yield merged.finding(_RULE, path, message, f"begin with fewer: steps = {_LADDER}")


def steps_wait_for_something(spec: Spec, merged: Merged) -> Iterator[Finding]:
    """A step without a hold lasts until the gates have decided; without gates, no time at all."""
    if spec.rollout is None or _live(spec.rollout):
        return
    for number, step in enumerate(spec.rollout.steps):
        if step.hold is None and step.weight < _ALL:
            path = (*_STEPS, number)
            message = f"`{merged.name(path)}` waits for nothing: it has no `hold`, and no gate decides"
            fix = f'write {{ weight = {step.weight}, hold = "1h" }}, or add gates = {{ errors = {{}} }}'
            yield merged.finding(_RULE, path, message, fix)


def _live(rollout: Rollout) -> list[str]:
    """Gates that judge what users meet; evals have judged before anybody is sent over."""
    gates = rollout.gates
    return [name for name in type(gates).model_fields if name != "evals" and getattr(gates, name)]


def evals_gates_have_a_suite(spec: Spec, merged: Merged) -> Iterator[Finding]:
    if spec.rollout and spec.rollout.gates.evals and spec.evals is None:
        message = "`rollout.gates.evals` compares answers to a suite, and there is no [evals]"
        fix = 'add [evals] suite = "evals/*.jsonl", or remove the gate'
        yield merged.finding("gate-unscored", ("rollout", "gates", "evals"), message, fix)


ROLLOUT_RULES = (
    rollout_reaches_everyone,
    gates_compare_with_somebody,
    steps_wait_for_something,
    evals_gates_have_a_suite,
)
