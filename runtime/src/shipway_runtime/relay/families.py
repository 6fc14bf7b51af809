"""The relay's numbers as Prometheus' metric families. Imported by the first scrape, not by the relay.

In: the state and the calls of each server. Out: families; docs/reference/metrics.md says what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from .calls import Calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import Metric

    from .backend import ServerState

Server = tuple["ServerState", Calls]


def families(servers: Sequence[Server]) -> Iterator[Metric]:
    yield from _states(servers)
    yield from _loads(servers)
    yield _calls(servers)
    yield _durations(servers)


def _states(servers: Sequence[Server]) -> Iterator[Metric]:
    up = GaugeMetricFamily("shipway_mcp_up", "1 while the MCP server is up", labels=["server"])
    about = InfoMetricFamily("shipway_mcp_server", "How the MCP server is reached", labels=["server"])
    since = GaugeMetricFamily(
        "shipway_mcp_state_start_time_seconds",
        "When the MCP server came into its state, since the epoch",
        labels=["server", "state"],
    )
    restarts = CounterMetricFamily(
        "shipway_mcp_restarts", "Starts of the MCP server after its first", labels=["server"]
    )
    for state, _ in servers:
        up.add_metric([state.name], state.state == "up")
        described = {"shape": state.shape, "protocol": state.protocol or ""}
        about.add_metric([state.name], described | {"optional": str(state.optional).lower()})
        since.add_metric([state.name, state.state], state.since)
        if state.shape == "inside":  # of another, only its own relay or engine knows
            restarts.add_metric([state.name], state.restarts)
    yield from (up, about, since, restarts)


def _loads(servers: Sequence[Server]) -> Iterator[Metric]:
    running = GaugeMetricFamily(
        "shipway_mcp_calls_in_flight", "Requests that are not answered yet", labels=["server"]
    )
    waiting = GaugeMetricFamily(
        "shipway_mcp_calls_waiting", "Those of them that wait for the others", labels=["server"]
    )
    limit = GaugeMetricFamily(
        "shipway_mcp_calls_limit", "Requests that the MCP server is given at once", labels=["server"]
    )
    failures = CounterMetricFamily(
        "shipway_mcp_probe_failures", "Readiness probes that the MCP server failed", labels=["server"]
    )
    for state, calls in servers:
        running.add_metric([state.name], calls.in_flight)
        waiting.add_metric([state.name], max(0, calls.in_flight - calls.limit))
        limit.add_metric([state.name], calls.limit)
        failures.add_metric([state.name], calls.probe_failures)
    yield from (running, waiting, limit, failures)


def _calls(servers: Sequence[Server]) -> Metric:
    total = CounterMetricFamily(
        "shipway_mcp_calls",
        "Requests to the MCP server, by how they ended",
        labels=["server", "method", "tool", "outcome"],
    )
    for state, calls in servers:
        for key, count in list(calls.counts.items()):  # a copy in one step: the relay goes on counting
            total.add_metric([state.name, *key], count)
    return total


def _durations(servers: Sequence[Server]) -> Metric:
    durations = HistogramMetricFamily(
        "shipway_mcp_call_duration_seconds",
        "From a request to its answer, waiting included",
        labels=["server", "method", "tool"],
    )
    for state, calls in servers:
        for key, histogram in list(calls.durations.items()):
            durations.add_metric([state.name, *key], histogram.buckets(), histogram.sum)
    return durations
