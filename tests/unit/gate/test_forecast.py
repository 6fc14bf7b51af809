"""A forecast is about what the gate then does."""

from __future__ import annotations

import pytest
from tests.outcomes import CANARY, STABLE, found_after, plan, traffic

from shipway.gate import Gate, GatePlan
from shipway.gate.forecast import Drop, Step, forecast

STEPS = (Step(0.05, 3600.0), Step(0.25, 3600.0), Step(1.0))


def drops(
    gate_plan: GatePlan, per_hour: float, means: dict[str, float], steps: tuple[Step, ...] = STEPS
) -> dict[float, Drop]:
    return {drop.drop: drop for drop in forecast(gate_plan, steps, per_hour, means).drops}


@pytest.mark.slow
@pytest.mark.parametrize(("drop", "share"), [(0.1, 0.05), (0.2, 0.05), (0.2, 0.5), (0.2, 0.95)])
def test_it_is_about_what_the_gate_needs(drop: float, share: float) -> None:
    """Also where stable is the smaller arm."""
    told = drops(plan(errors=0.02), 1000, {"errors": 0.92}, (Step(share),))[drop].canary
    runs = (traffic(seed, 2000, 0.92, 0.92 - drop, share) for seed in range(31))
    found = sorted(found_after(Gate(plan()), run) or 2001 for run in runs)
    assert 0.6 * found[15] < told < 1.6 * found[15]


def test_it_says_when_in_words() -> None:
    words = forecast(plan(errors=None), STEPS, 10_000, {"errors": 0.98}).words
    assert words == (
        "At 10,000 conversations an hour, 5 % first: a 5-point drop in errors shows in about 35 minutes, "
        "a 10-point one in 16 minutes. One that is as good as stable is proved to be after about 100 minutes."
    )


@pytest.mark.slow
def test_a_pass_is_told_when_the_steps_are_long_enough() -> None:
    gate_plan = plan(errors=0.05)
    told = forecast(gate_plan, (Step(0.05),), 10_000, {"errors": 0.92})
    found = []
    for seed in range(9):
        gate = Gate(gate_plan)
        for seen, one in enumerate(traffic(seed, 1500), 1):
            gate.see(one)
            if seen % 200 == 0 and gate.judge(0.0).verdict == "pass":
                break
        found.append(gate.judge(0.0).canary)
    assert told.passes
    canary = (told.passes - 360) / 3600 * 10_000 * 0.05
    assert 0.6 * sorted(found)[4] < canary < 1.6 * sorted(found)[4]
    assert told.words.endswith("One that is as good as stable is proved to be after about 41 minutes.")


def test_later_steps_are_counted_with_their_weight() -> None:
    """120 in the first hour are not enough; the second has five times as many."""
    found = drops(plan(errors=0.02), 2400, {"errors": 0.92})[0.1]
    assert 120 < found.canary < 720
    assert found.seconds
    assert 3600 < found.seconds < 2 * 3600


def test_steps_that_are_too_short_for_a_pass_are_told() -> None:
    told = forecast(plan(errors=None), STEPS[:1], 10_000, {"errors": 0.98})
    assert told.passes is None
    assert told.words.endswith("of a good one they find no evidence of harm.")


def test_a_canary_that_sees_nobody_is_told_before() -> None:
    """Twenty conversations a day at 5 %."""
    blind = forecast(plan(errors=None), STEPS, 20 / 24)
    assert blind.blind
    assert "At 20 a day the canary gets about 0 conversations" in blind.words
    assert "Use the paired suite (`shipway eval --against`)" in blind.words


def test_a_loss_that_the_margin_allows_never_shows() -> None:
    found = drops(plan(errors=0.06), 1e6, {}, (Step(0.5),))
    assert found[0.05].seconds is None
    assert found[0.1].seconds


def test_a_suite_waits_for_nobody() -> None:
    assert {drop.metric for drop in forecast(plan(evals=None, live=None), STEPS, 1000).drops} == {"live"}


def test_more_metrics_take_longer() -> None:
    one, two = (
        forecast(GatePlan(CANARY, STABLE, 0.05, dict.fromkeys(names, 0.02)), STEPS, 1000).drops[0].canary
        for names in (("errors",), ("errors", "live"))
    )
    assert one < two < 1.3 * one
