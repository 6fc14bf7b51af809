"""The policy as metric families. Imported by the first scrape.

In: the policy that stands, and the admission. Out: families; docs/reference/metrics.md has them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from ..contract import Kill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from .admission import Admission
    from .standing import Standing


def families(standing: Standing, admission: Admission) -> Iterator[Metric]:
    source = standing.source
    age = GaugeMetricFamily(
        "shipway_policy_age_seconds",
        "Since the source last said that this is its policy",
        labels=["source"],
    )
    age.add_metric([source], time.time() - standing.confirmed if standing.watched else 0.0)
    yield age
    failures = CounterMetricFamily(
        "shipway_policy_failures", "Policies that could not be read or taken", labels=["source"]
    )
    for name in dict.fromkeys([source, *standing.failures]):
        failures.add_metric([name], standing.failures[name])
    yield failures
    yield GaugeMetricFamily(
        "shipway_policy_known", "0 while no turn is let in", standing.effective is not None
    )
    yield GaugeMetricFamily(
        "shipway_policy_change_time_seconds",
        "When the policy last changed, since the epoch",
        standing.changed,
    )
    yield _restriction(standing)
    yield _killed(standing.kill())
    denied = CounterMetricFamily(
        "shipway_policy_denied", "Turns and calls of tools that the policy has refused", labels=["rule"]
    )
    for rule, count in (standing.refused + admission.denied).items():
        denied.add_metric([rule], count)
    yield denied


def _restriction(standing: Standing) -> Metric:
    restricted = standing.restricted
    return GaugeMetricFamily(
        "shipway_policy_restriction_end_time_seconds",
        "When the restriction ends, since the epoch; 0 without one",
        restricted.until if restricted else 0,
    )


def _killed(kill: Kill) -> Metric:
    killed = GaugeMetricFamily("shipway_policy_killed", "How many are switched off", labels=["kind"])
    for kind in Kill.__slots__:
        value = getattr(kill, kind)
        killed.add_metric([kind], int(value) if kind == "all" else len(value))
    return killed
