"""The gate, and each trap that gates fall into. What is left to chance has a seed."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator

import pytest
from tests.outcomes import CANARY, STABLE, conversation, ended, found_after, outcome, plan, seen, traffic

from shipway.gate import Calibration, Conversation, Gate, GatePlan


def false_alarms(runs: int, gate_plan: GatePlan, worst: float, canary: int, share: float = 0.25) -> int:
    """How often a canary fails that is exactly as much worse as the margin allows: the hardest case."""
    return sum(
        found_after(Gate(gate_plan), traffic(seed, canary, 0.92, worst, share)) is not None
        for seed in range(runs)
    )


@pytest.mark.slow
def test_a_canary_that_is_worse_fails_soon() -> None:
    found = sorted(found_after(Gate(plan()), traffic(seed, 2000, 0.92, 0.80)) or 2001 for seed in range(41))
    assert found[20] <= 150


@pytest.mark.slow
def test_a_canary_that_is_not_worse_hardly_ever_fails() -> None:
    """At the margin itself, looked at after every conversation: at most alpha, and three deviations."""
    found = false_alarms(100, plan(alpha=0.2, errors=0.05), 0.87, 300)
    assert found <= 100 * 0.2 + 3 * (100 * 0.2 * 0.8) ** 0.5


def test_an_equal_one_that_was_seen_for_long_passes() -> None:
    judgement = seen(Gate(plan(errors=0.05)), traffic(1, 1500, share=0.25)).judge(9e9)
    assert (judgement.verdict, judgement.why) == ("pass", "fine")


def test_an_equal_one_that_was_seen_shortly_is_not_proved() -> None:
    judgement = seen(Gate(plan()), traffic(1, 60)).judge(9e9)
    assert (judgement.verdict, judgement.why) == ("inconclusive", "no-harm")
    assert "No evidence of harm in 60 conversations" in judgement.words
    assert "no proof" in judgement.words


def test_a_failure_is_for_good() -> None:
    gate = seen(Gate(plan()), traffic(1, 200, 0.92, 0.5))
    assert seen(gate, traffic(2, 3000, 0.5, 1.0, share=0.5)).judge(9e9).verdict == "fail"


# -- Traps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", [CANARY, STABLE])
def test_an_arm_without_data_never_passes(arm: str) -> None:
    gate = seen(Gate(plan(share=None)), (ended(arm, True) for _ in range(5000)))
    judgement = gate.judge(9e9)
    assert (judgement.verdict, judgement.why, judgement.evidence) == ("inconclusive", "too-little", 1.0)


def test_no_data_at_all_is_not_a_pass() -> None:
    assert Gate(plan()).judge(0.0).why == "too-little"


def test_a_metric_that_measured_nothing_is_not_a_success() -> None:
    """Errors alone would pass; of the live scores nobody has seen one."""
    judgement = seen(Gate(plan(errors=0.05, live=0.02)), traffic(1, 1500, share=0.25)).judge(9e9)
    errors, live = judgement.metrics
    assert errors.fine >= judgement.threshold
    assert live.canary.missing == 1500
    assert (judgement.verdict, judgement.why) == ("inconclusive", "too-little")
    assert "live: known of neither revision so far; it takes `score`." in judgement.words


def test_turns_of_one_conversation_are_one_observation() -> None:
    """A hundred turns of one bad conversation are no more evidence than its first."""

    def conversations(turns: int) -> Iterator[Conversation]:
        chance = random.Random(5)
        for number in range(600):
            revision = CANARY if number % 4 == 0 else STABLE
            status = "ok" if chance.random() < 0.9 else "error"
            yield conversation(
                revision, *(outcome(turn=t, revision=revision, status=status) for t in range(turns))
            )

    one, many = (seen(Gate(plan()), conversations(turns)).judge(9e9) for turns in (1, 100))
    assert one.evidence == many.evidence
    assert one.metrics == many.metrics


@pytest.mark.slow
def test_correlated_turns_raise_false_alarms_only_where_turns_are_counted() -> None:
    """What a conversation is about makes all of its eight turns fail, or none."""

    def turns(seed: int, per_turn: bool) -> Iterator[Conversation]:
        whole = list(traffic(seed, 60, 0.9, 0.85, share=0.5))
        for first in range(0, len(whole), 8):  # eight at a time, turn by turn
            yield from whole[first : first + 8] * (8 if per_turn else 1)

    def alarms(per_turn: bool) -> int:
        gates = (Gate(plan(alpha=0.1, errors=0.05)) for _ in range(80))
        return sum(found_after(gate, turns(seed, per_turn)) is not None for seed, gate in enumerate(gates))

    assert alarms(per_turn=False) <= 80 * 0.1
    assert alarms(per_turn=True) > 80 * 0.2


def test_both_arms_drifting_is_no_failure_but_a_pause() -> None:
    gate, chance = Gate(plan(share=0.2)), random.Random(3)
    for number in range(4000):
        good = chance.random() < (0.95 if number < 2000 else 0.60)
        gate.see(ended(CANARY if chance.random() < 0.2 else STABLE, good, 1000.0 + number))
    judgement = gate.judge(9e9)
    assert (judgement.verdict, judgement.why, judgement.pause) == ("inconclusive", "incident", True)
    assert "both worse" in judgement.words


def test_an_incident_is_over_when_both_are_well_again() -> None:
    gate, chance = Gate(plan(share=0.5)), random.Random(3)
    for number in range(3000):
        good = chance.random() < (0.5 if 1000 < number < 1300 else 0.95)
        gate.see(ended(CANARY if chance.random() < 0.5 else STABLE, good, 1000.0 + number))
        if number == 1300:
            assert gate.judge(9e9).pause
    assert not gate.judge(9e9).pause


def test_a_canary_that_is_worse_in_an_incident_still_fails() -> None:
    """It may be its cause: to wait would leave it there."""
    gate, chance = Gate(plan(share=0.5)), random.Random(3)
    for number in range(1500):
        canary = chance.random() < 0.5
        good = chance.random() < (0.95 if number < 500 else 0.3 if canary else 0.7)
        gate.see(ended(CANARY if canary else STABLE, good, 1000.0 + number))
    judgement = gate.judge(9e9)
    assert (judgement.verdict, judgement.pause) == ("fail", True)
    assert "going back will not mend all of it" in judgement.words


def test_a_split_that_is_wrong_cannot_pass() -> None:
    """Half of the canary's outcomes are lost: its share is not what the router was told."""
    gate = seen(Gate(plan(share=0.5, errors=0.05)), traffic(1, 1500, share=0.25))
    judgement = gate.judge(9e9)
    assert (judgement.verdict, judgement.why, judgement.pause) == ("inconclusive", "ratio", True)
    assert "50 % was asked for" in judgement.words
    assert (
        seen(Gate(plan(share=None, errors=0.05)), traffic(1, 1500, share=0.25)).judge(9e9).verdict == "pass"
    )


def test_a_new_share_counts_conversations_that_begin_under_it() -> None:
    gate = seen(Gate(plan(share=0.05)), (ended(STABLE, True, start=1000.0 + n) for n in range(95)))
    gate.share(0.5, at=2000.0)
    for number in range(60):
        gate.see(ended(STABLE, True, start=1900.0))  # begun before, closed after
        gate.see(ended(CANARY if number % 2 else STABLE, True, start=2001.0))
    assert gate.judge(9e9).ratio < 1


@pytest.mark.slow
def test_a_regression_that_begins_late_is_found() -> None:
    """After 1,000 good conversations of the canary, one model behind it goes."""

    def conversations(seed: int) -> Iterator[Conversation]:
        yield from traffic(seed, 1000, share=0.25)
        yield from traffic(seed + 1000, 1000, 0.92, 0.72, share=0.25)

    found = sorted(found_after(Gate(plan()), conversations(seed)) or 2001 for seed in range(15))
    assert 1000 < found[7] <= 1250


def test_words_tell_what_the_mean_hides() -> None:
    gate = seen(Gate(plan()), traffic(4, 1000, share=0.25))
    judgement = seen(gate, traffic(5, 150, 0.92, 0.5, share=0.25)).judge(9e9)
    assert judgement.verdict == "fail"
    assert "; lately " in judgement.words


def test_a_noisy_judge_is_given_the_margin_that_it_can_see() -> None:
    """It shrinks differences to J = 0.75 of theirs, so the margin shrinks with them."""
    judge = Calibration(sensitivity=0.95, specificity=0.80)
    gate_plan = GatePlan(CANARY, STABLE, None, {"live": 0.02, "errors": 0.02}, judges={"live": judge})
    assert gate_plan.margin("live") == pytest.approx(0.015)
    assert gate_plan.margin("errors") == 0.02
    with pytest.raises(ValueError, match="no better than a coin"):
        GatePlan(CANARY, STABLE, None, {"live": 0.02}, judges={"live": Calibration(0.5, 0.5)})


@pytest.mark.slow
def test_metrics_share_alpha() -> None:
    """Four metrics at the margin, independent of each other: together at most alpha, and three deviations."""
    names = ("errors", "live", "tools", "latency")

    def gate(seed: int) -> Gate:
        found = Gate(GatePlan(CANARY, STABLE, None, dict.fromkeys(names, 0.05), 0.2))
        chance = random.Random(seed)
        for _ in range(1200):
            canary = chance.random() < 0.25
            ok, score, tool = (float(chance.random() < (0.85 if canary else 0.9)) for _ in range(3))
            revision = CANARY if canary else STABLE
            status = "ok" if ok else "error"
            turn = outcome(
                revision=revision, status=status, score=score, tool_calls=1, tool_errors=int(1 - tool)
            )
            found.see(conversation(revision, turn))
        return found

    assert sum(gate(seed).failed for seed in range(40)) <= 40 * 0.2 + 3 * (40 * 0.2 * 0.8) ** 0.5


def test_latency_and_cost_are_measured_by_what_stable_was_at_first() -> None:
    gate, chance = Gate(plan(latency=None, cost=None)), random.Random(1)
    for number in range(1200):
        canary = number >= 100 and chance.random() < 0.25
        revision = CANARY if canary else STABLE
        slow = chance.lognormvariate(0, 0.3) * (2.0 if canary else 1.0)
        turn = outcome(revision=revision, latency_s=slow, cost=0.01)
        gate.see(conversation(revision, turn))
    judgement = gate.judge(9e9)
    latency, cost = judgement.metrics
    assert judgement.verdict == "fail"
    assert latency.limit == pytest.approx(1.64, abs=0.3)
    assert (cost.limit, cost.fine >= 20) == (pytest.approx(0.04), True)
    assert latency.stable.missing == 0
    assert "of turns within" in judgement.words


def test_history_makes_references_alone() -> None:
    """Conversations of before the canary fix the limit, and are not compared."""
    since = GatePlan(CANARY, STABLE, 0.5, {"latency": None}, since=2000.0)
    gate = seen(Gate(since), (conversation(STABLE, outcome(), start=1000.0 + n) for n in range(150)))
    judgement = gate.judge(9e9)
    assert (judgement.stable, judgement.ratio, judgement.metrics[0].limit) == (0, 1.0, 2.0)
    assert judgement.metrics[0].stable.conversations == 0


@pytest.mark.parametrize(("canary", "failed"), [(1, False), (3, False), (12, True)])
def test_little_traffic_is_no_reason_to_go_back_unless_all_of_it_fails(canary: int, failed: bool) -> None:
    gate = Gate(plan(errors=None))
    for _ in range(canary):
        seen(gate, (ended(STABLE, True) for _ in range(19)))
        gate.see(ended(CANARY, False))
    assert gate.failed == failed


def test_what_is_measured_of_one_arm_only_is_told() -> None:
    """A scorer that fails on the canary's worst answers."""
    gate = Gate(plan(live=None))
    for number in range(400):
        revision, score = (CANARY, None) if number % 4 == 0 else (STABLE, 1.0)
        gate.see(conversation(revision, outcome(revision=revision, score=1.0 if number % 8 == 0 else score)))
    (live,) = gate.judge(9e9).metrics
    assert (live.canary.conversations, live.canary.missing) == (50, 50)
    assert "missing in 50 % of the canary's conversations, 0 % of stable's" in live.words


def test_other_revisions_are_counted_and_say_nothing() -> None:
    gate = seen(Gate(plan()), (ended("r0", False) for _ in range(10)))
    assert gate.other == 10
    assert gate.judge(9e9).evidence == 1.0


# -- What is kept --------------------------------------------------------------------------------------------


def test_the_plot_has_a_bounded_number_of_points_and_the_newest() -> None:
    gate = seen(Gate(plan()), traffic(1, 3000, share=0.5))
    points = gate.points
    assert 100 < len(points) <= 257
    assert points[-1].canary == 3000
    assert points[-1].evidence == gate.judge(9e9).evidence
    assert [point.canary for point in points] == sorted({point.canary for point in points})


def test_the_plot_does_not_go_back_in_time() -> None:
    """Of conversations that close within the same minute the one that began first comes first."""
    gate = Gate(plan(live=0.02))
    for number, closed in enumerate((1310.0, 1305.0, 1320.0)):
        turn = outcome(revision=CANARY, score=0.5, started=1000.0 + number)
        gate.see(Conversation((None, f"c{number}"), CANARY, 1000.0 + number, closed, (turn,)))
    assert [point.at for point in gate.points] == [1310.0, 1310.0, 1320.0]


def test_what_is_kept_does_not_grow() -> None:
    small = len(pickle.dumps(seen(Gate(plan()), traffic(1, 2000, share=0.5))))
    large = len(pickle.dumps(seen(Gate(plan()), traffic(1, 8000, share=0.5))))
    assert large < 1.5 * small


def test_a_gate_that_was_put_away_goes_on_as_if_it_had_not_been() -> None:
    first, second = list(traffic(1, 100, share=0.5)), list(traffic(2, 100, share=0.5))
    kept = pickle.loads(pickle.dumps(seen(Gate(plan()), first)))
    assert seen(kept, second).judge(1.0) == seen(Gate(plan()), first + second).judge(1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stable": CANARY}, "same revision"),
        ({"metrics": {}}, "needs a metric"),
        ({"metrics": {"speed": None}}, "no metric 'speed'; there are evals, live, errors"),
        ({"metrics": {"errors": 1.0}}, "margin of errors is 1"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"share": 5.0}, "share is 5, expected 0 to 1"),
    ],
)
def test_a_plan_that_makes_no_sense_says_why(values: dict[str, object], message: str) -> None:
    good = {"canary": CANARY, "stable": STABLE, "share": 0.05, "metrics": {"errors": None}}
    with pytest.raises(ValueError, match=message):
        GatePlan(**(good | values))  # type: ignore[arg-type]
