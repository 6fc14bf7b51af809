"""What a conversation is worth by each metric."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.outcomes import outcome

from shipway.gate import METRICS
from shipway.spec.model import Gates

LIMITS = {"latency": 3.0, "cost": 0.4}


def score(metric: str, *turns: dict[str, Any]) -> float | None:
    return METRICS[metric].score(
        [outcome(turn=i, **turn) for i, turn in enumerate(turns)], LIMITS.get(metric, 0.0)
    )


@pytest.mark.parametrize(
    ("metric", "turns", "expected"),
    [
        ("errors", [{}, {"status": "error"}], 0.5),
        ("errors", [{}, {"status": "denied"}, {"status": "cancelled"}], 1.0),
        ("errors", [{"status": "denied"}], None),
        ("errors", [{"status": "cancelled"}], None),
        ("live", [{"score": 0.25}, {}, {"score": 0.75}], 0.5),
        ("live", [{}], None),
        ("live", [{"score": 0.0}], 0.0),
        ("latency", [{"latency_s": 3.0}, {"latency_s": 3.1}], 0.5),
        ("latency", [{"status": "denied", "latency_s": 9.0}], None),
        ("latency", [{"status": "cancelled", "latency_s": 1.0}], None),
        ("latency", [{"status": "cancelled", "latency_s": 9.0}], 0.0),
        ("latency", [{"status": "error", "latency_s": 0.1}], None),
        ("latency", [{"status": "error", "latency_s": 600.0}], 0.0),
        ("cost", [{"cost": 0.1}, {"cost": 0.3}, {}], 0.5),
        ("cost", [{"cost": 40.0}], 0.0),
        ("cost", [{}], None),
        ("tools", [{"tool_calls": 3, "tool_errors": 1}, {"tool_calls": 1}], 0.75),
        ("tools", [{}], None),
        ("evals", [{"score": 1.0}], None),
    ],
)
def test_the_score_of_a_conversation(
    metric: str, turns: list[dict[str, Any]], expected: float | None
) -> None:
    assert score(metric, *turns) == (None if expected is None else pytest.approx(expected))


@given(
    st.sampled_from(sorted(METRICS)),
    st.lists(
        st.fixed_dictionaries(
            {
                "status": st.sampled_from(["ok", "error", "denied", "cancelled"]),
                "latency_s": st.floats(0, 1e6),
                "cost": st.none() | st.floats(0, 1e6),
                "score": st.none() | st.floats(0, 1),
                "tool_calls": st.integers(0, 5),
                "tool_errors": st.integers(0, 9),
            }
        ),
        max_size=4,
    ),
)
def test_it_is_between_zero_and_one_or_nothing(metric: str, turns: list[dict[str, Any]]) -> None:
    found = score(metric, *turns)
    assert found is None or 0 <= found <= 1


def test_the_limits() -> None:
    latency, cost = METRICS["latency"].limit, METRICS["cost"].limit
    assert latency
    assert cost
    assert latency([float(i) for i in range(1, 101)]) == 96.0
    assert cost([0.1, 0.2, 0.3]) == pytest.approx(0.8)


def test_the_table_is_what_a_rollout_may_name() -> None:
    assert set(METRICS) == set(Gates.model_fields)
