"""What turns and requests have come to, as Prometheus' metric families. Imported by the first scrape.

In: the numbers of `Counts`, `Requests`, `Turns` and the way of outcomes to control. Out: families;
docs/reference/metrics.md says what they mean. Each dictionary is copied in one step: the main loop goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from ..model.watching import Watch
    from ..turns import Turns
    from .counts import Counts
    from .histogram import Histogram
    from .pushing import Pushing
    from .requests import Requests


def of_requests(requests: Requests) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "shipway_http_requests_in_flight",
        "Requests of the API port that are not over, WebSockets included",
        requests.in_flight,
    )
    durations = {str(status): histogram for status, histogram in list(requests.durations.items())}
    yield _histograms(
        "shipway_http_request_duration_seconds",
        "From a request to the end of its answer, by status",
        "status",
        durations,
    )


def of_turns(turns: Turns, counts: Counts) -> Iterator[Metric]:
    active = len(turns)
    yield GaugeMetricFamily("shipway_turns_active", "Turns whose agent runs", active)
    yield GaugeMetricFamily(
        "shipway_turns_waiting", "Turns that wait for another of their conversation", turns.waiting
    )
    yield _counter("shipway_turns", "Turns that are over, by how they ended", ["outcome"], counts.turns)
    yield _histograms(
        "shipway_turn_duration_seconds", "From a turn's start to its end", "outcome", dict(counts.durations)
    )
    first = HistogramMetricFamily(
        "shipway_turn_first_token_seconds", "From a turn's start to the first text of its answer"
    )
    first.add_metric([], counts.first_token.buckets(), counts.first_token.sum)
    yield first
    yield _counter("shipway_turn_errors", "Exceptions that ended a turn", ["type"], counts.errors)
    yield CounterMetricFamily("shipway_cost_usd", "What turns have cost, in US dollars", counts.cost_usd)
    yield from _use(counts)


def of_models(watch: Watch) -> Iterator[Metric]:
    yield _counter(
        "shipway_model_requests",
        "Requests to a model that are over, by how they ended",
        ["host", "outcome"],
        watch.requests,
    )
    first = HistogramMetricFamily(
        "shipway_model_first_piece_seconds", "From a request to the first piece of its stream"
    )
    first.add_metric([], watch.first_piece.buckets(), watch.first_piece.sum)
    yield first


def of_pushing(pushing: Pushing) -> Iterator[Metric]:
    results = {"pushed": pushing.pushed, "refused": pushing.refused, "dropped": pushing.dropped}
    name, many = pushing.freight.metric, pushing.freight.many.capitalize()
    yield _counter(name, f"{many}, by what became of them", ["result"], results)
    yield GaugeMetricFamily(f"{name}_buffered", f"{many} that control does not have yet", pushing.buffered)


def _use(counts: Counts) -> Iterator[Metric]:
    tokens = dict(counts.tokens)

    def of(*kinds: str) -> dict[tuple[str, str], int]:
        return {(model, kind): count for (model, kind), count in tokens.items() if kind in kinds}

    labels = ["model", "type"]
    yield _counter("shipway_tokens", "Tokens used", labels, of("input", "output"))
    yield _counter(
        "shipway_tokens_within",
        "Those of them that are priced differently: input from a cache, output for reasoning",
        labels,
        of("cached", "reasoning"),
    )
    yield _counter(
        "shipway_tool_calls", "Calls of tools, as the agent told", ["tool", "outcome"], dict(counts.tools)
    )


def _counter(
    name: str, about: str, labels: list[str], counts: Mapping[str, int] | Mapping[tuple[str, str], int]
) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, count in dict(counts).items():
        family.add_metric([key] if isinstance(key, str) else list(key), count)
    return family


def _histograms(name: str, about: str, label: str, found: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, about, labels=[label])
    for value, histogram in found.items():
        family.add_metric([value], histogram.buckets(), histogram.sum)
    return family
