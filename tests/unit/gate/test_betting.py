"""Evidence is a martingale where nothing is lost on average: over all that can happen, not by chance."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import isclose, isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.gate.betting import MOST, Process

Chance = Callable[[tuple[float, ...]], tuple[float, float, float]]
"""What happened so far -> a gain, a loss, and the probability of the gain."""


def fair(past: tuple[float, ...]) -> tuple[float, float, float]:
    """A small gain is likely, a large loss is not; the mean is zero."""
    return 0.25, -1.0, 0.8


def adaptive(past: tuple[float, ...]) -> tuple[float, float, float]:
    """Still fair, but what is at stake depends on what was."""
    return (0.5, -1.0, 2 / 3) if sum(past) > 0 else (1.0, -0.25, 0.2)


def expectation(chance: Chance, steps: int, late: bool, of: Callable[[Process], float]) -> float:
    total = 0.0
    for path in product((True, False), repeat=steps):
        process, probability, past = Process(1.0, late=late), 1.0, ()
        for gains in path:
            gain, loss, likely = chance(past)
            probability *= likely if gains else 1 - likely
            past = (*past, gain if gains else loss)
            process.see(past[-1])
        total += probability * of(process)
    return total


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("chance", [fair, adaptive])
@pytest.mark.parametrize("steps", [1, 4, 9])
def test_the_expected_evidence_is_one(chance: Chance, late: bool, steps: int) -> None:
    assert isclose(expectation(chance, steps, late, lambda process: process.evidence), 1.0, rel_tol=1e-9)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("threshold", [1.2, 1.5, 2.0, 4.0])
@pytest.mark.parametrize("chance", [fair, adaptive])
def test_it_is_rarely_ever_high(chance: Chance, threshold: float, late: bool) -> None:
    """Ville's inequality, over every path of eleven differences, looked at after each."""
    ever = expectation(chance, 11, late, lambda process: float(process.peak >= threshold))
    assert ever <= 1 / threshold


@pytest.mark.parametrize("late", [False, True])
def test_what_loses_on_average_is_less_than_one(late: bool) -> None:
    def unfair(past: tuple[float, ...]) -> tuple[float, float, float]:
        return 0.25, -1.0, 0.75

    assert expectation(unfair, 8, late, lambda process: process.evidence) < 0.99


@given(
    st.lists(st.floats(-1.02, 1.0), max_size=200),
    st.booleans(),
)
def test_evidence_is_always_a_positive_number(differences: list[float], late: bool) -> None:
    process = Process(1.02, late=late)
    for difference in differences:
        process.see(difference)
    assert 0 < process.evidence <= process.peak
    assert isfinite(process.peak)


def test_it_stays_a_number_however_long_it_wins_or_loses() -> None:
    winner, loser = Process(1.0, late=True), Process(1.0)
    for _ in range(20_000):
        winner.see(0.9)
        loser.see(-0.9)
    assert MOST / 2 < winner.evidence <= 2 * MOST
    assert 0 <= loser.evidence < 1e-12


def test_capital_that_is_kept_for_later_finds_what_begins_late() -> None:
    """After a thousand small losses, what was put in at once has little left to bet with."""

    def needed(late: bool) -> int:
        process = Process(1.0, late=late)
        for _ in range(1000):
            process.see(-0.05)
        for count in range(1, 1001):
            process.see(0.1)
            if process.evidence >= 20:
                return count
        return 1001

    assert needed(late=True) < 0.6 * needed(late=False)
