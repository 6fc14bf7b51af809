"""What the scorer has come to, as Prometheus' metric families. Imported by the first scrape.

In: the numbers of `Scoring`. Out: families; docs/reference/metrics.md says what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from .scoring import Scoring


def of_scoring(scoring: Scoring) -> Iterator[Metric]:
    results = CounterMetricFamily(
        "shipway_live_scores", "Sampled turns, by what became of their score", labels=["result"]
    )
    for result, count in scoring.results.items():
        results.add_metric([result], count)
    yield results
    yield GaugeMetricFamily(
        "shipway_live_waiting", "Outcomes that are kept back until they have a score", scoring.waiting
    )
    scores = HistogramMetricFamily("shipway_live_score", "Scores of sampled turns")
    scores.add_metric([], scoring.scores.buckets(), scoring.scores.sum)
    yield scores
