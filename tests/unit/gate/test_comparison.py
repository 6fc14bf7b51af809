"""Two arms by one metric: exactly what betting promises, whatever the order of the arms is."""

from __future__ import annotations

from itertools import product
from math import isclose

import pytest
from tests.outcomes import outcome

from shipway.gate.comparison import RECENT, Comparison
from shipway.gate.metrics import REFERENCE

S, C = False, True
ORDERS = [(S, C) * 4, (S, S, S, C) * 2, (S, C, C, C) * 2, (C, C, S, S, C, S, C, C)]


def expected(arms: tuple[bool, ...], stable: float, canary: float, margin: float) -> tuple[float, float]:
    """Evidence of harm and of its absence, over everything that these conversations can come to."""
    harm = fine = 0.0
    for scores in product((0.0, 1.0), repeat=len(arms)):
        comparison, likely = Comparison("errors", margin), 1.0
        for arm, score in zip(arms, scores, strict=True):
            rate = canary if arm else stable
            likely *= rate if score else 1 - rate
            comparison.compare(arm, score)
        harm += likely * comparison.harm.evidence
        fine += likely * comparison.fine.evidence
    return harm, fine


@pytest.mark.parametrize("arms", ORDERS)
def test_at_the_margin_neither_account_wins(arms: tuple[bool, ...]) -> None:
    harm, fine = expected(arms, 0.9, 0.85, margin=0.05)
    assert isclose(harm, 1.0, rel_tol=1e-9)
    assert isclose(fine, 1.0, rel_tol=1e-9)


@pytest.mark.parametrize("arms", ORDERS)
def test_on_either_side_of_it_one_does(arms: tuple[bool, ...]) -> None:
    harm, fine = expected(arms, 0.9, 0.6, margin=0.05)
    assert harm > 1 > fine
    harm, fine = expected(arms, 0.9, 0.95, margin=0.05)
    assert harm < 1 < fine


def test_nothing_is_bet_before_both_arms_have_a_score() -> None:
    comparison = Comparison("errors", 0.0)
    for _ in range(50):
        comparison.compare(C, 0.0)
    assert (comparison.harm.evidence, comparison.canary.conversations) == (1.0, 50)


def test_the_limit_is_frozen_by_stable_alone() -> None:
    comparison = Comparison("latency", 0.05)
    for number in range(REFERENCE):
        assert comparison.limit is None
        comparison.see(C, [outcome(latency_s=1000.0)])
        comparison.see(S, [outcome(latency_s=float(number + 1))])
    assert comparison.limit == 96.0
    comparison.see(S, [outcome(latency_s=500.0)])
    assert comparison.limit == 96.0
    assert comparison.stable.mean == 0.0


def test_recent_is_of_the_last_bets() -> None:
    comparison = Comparison("errors", 0.0)
    for score in (1.0,) * 300 + (0.0,) * 2 * RECENT:
        comparison.compare(S, 1.0)
        comparison.compare(C, score)
    assert comparison.canary.recent is not None
    assert comparison.canary.mean is not None
    assert comparison.canary.recent < 0.2 < comparison.canary.mean
    assert comparison.stable.recent == 1.0
