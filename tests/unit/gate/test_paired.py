"""The same cases put to two revisions: known after tens of them, and never sooner than it is known."""

from __future__ import annotations

import random

import pytest

from shipway.gate import Calibration, Paired


def run(
    seed: int, cases: int, before: float, flips: float, mends: float = 0.0, **options: float
) -> tuple[int, Paired]:
    """Cases until it is decided: one that was good turns bad with `flips`, and the other way with `mends`."""
    chance, paired = random.Random(seed), Paired(**options)  # type: ignore[arg-type]
    for case in range(1, cases + 1):
        good = chance.random() < before
        after = chance.random() >= flips if good else chance.random() < mends
        paired.see(float(good), float(after))
        if paired.decided:
            return case, paired
    return cases, paired


def test_it_stops_early_when_the_new_one_is_worse() -> None:
    found = sorted(run(seed, 500, 0.9, 0.2)[0] for seed in range(31))
    assert found[15] <= 60
    assert run(1, 500, 0.9, 0.2)[1].judge().verdict == "fail"


def test_pairs_tell_it_sooner_than_two_arms_do() -> None:
    """A case that is hard for both says nothing; where half are hard, that is most of the noise."""
    found = sorted(run(seed, 2000, 0.5, 0.24)[0] for seed in range(31))  # 12 points
    assert found[15] <= 100


def test_two_that_agree_are_the_same_after_enough_cases() -> None:
    cases, paired = run(1, 1000, 0.9, 0.0)
    assert paired.judge().verdict == "pass"
    assert 100 < cases < 300


def test_a_short_suite_is_no_proof() -> None:
    judgement = run(1, 40, 0.9, 0.0)[1].judge()
    assert (judgement.verdict, judgement.why) == ("inconclusive", "no-harm")
    assert "No evidence of harm in 40 cases" in judgement.words


@pytest.mark.slow
def test_it_is_hardly_ever_wrong() -> None:
    """As many cases get worse as get better, all at alpha 0.2."""
    verdicts = [run(seed, 400, 0.5, 0.3, 0.3, margin=0.0, alpha=0.2)[1].judge().verdict for seed in range(60)]
    assert verdicts.count("fail") <= 60 * 0.2 + 3 * (60 * 0.2 * 0.8) ** 0.5


def test_no_case_is_no_pass() -> None:
    assert Paired().judge().why == "too-little"


def test_a_judge_scales_the_margin() -> None:
    (metric,) = Paired(0.02, judge=Calibration(0.95, 0.80)).judge().metrics
    assert metric.margin == pytest.approx(0.015)
