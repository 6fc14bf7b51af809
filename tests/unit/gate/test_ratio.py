"""The alarm of a split that is wrong, and its silence."""

from __future__ import annotations

import random
from itertools import product
from math import isclose

import pytest

from shipway.gate.ratio import ALARM, Ratio


def split(told: float | None, real: float, conversations: int, seed: int = 1) -> Ratio:
    ratio, chance = Ratio(told), random.Random(seed)
    for _ in range(conversations):
        ratio.see(chance.random() < real)
    return ratio


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_its_expectation_is_one(share: float) -> None:
    """Over all that ten conversations can do."""
    total = 0.0
    for path in product((True, False), repeat=10):
        ratio = Ratio(share)
        for canary in path:
            ratio.see(canary)
        total += ratio.evidence * share ** sum(path) * (1 - share) ** (10 - sum(path))
    assert isclose(total, 1.0, rel_tol=1e-9)


def test_a_split_as_it_was_told_is_no_alarm() -> None:
    assert not any(split(0.05, 0.05, 5000, seed).alarm for seed in range(20))


@pytest.mark.parametrize(
    ("told", "real", "conversations"), [(0.05, 0.15, 500), (0.05, 0.035, 12_000), (0.5, 0.4, 1200)]
)
def test_a_split_that_is_wrong_is(told: float, real: float, conversations: int) -> None:
    """A share that balloons (stickiness of the canary alone), outcomes that get lost."""
    assert split(told, real, conversations).evidence >= ALARM


@pytest.mark.parametrize("share", [None, 0.0, 1.0])
def test_there_is_nothing_to_tell_without_a_split(share: float | None) -> None:
    assert split(share, 0.5, 1000).evidence == 1.0


def test_it_stays_a_number() -> None:
    assert split(0.5, 0.0, 200_000).evidence < float("inf")
