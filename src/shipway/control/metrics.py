"""What control measures of itself, as Prometheus reads it.

In: requests that were answered, outcomes that came, gates as they were last looked at. Out: a page of
metrics.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shipway.control.gates.gates import Gates
from shipway.control.outcomes.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric


PREFIX = "shipway_control"


@dataclass(frozen=True, slots=True)
class Metrics:
    """`requests` counts (method, path, status); paths are those of the table."""

    intake: Intake
    gates: Gates
    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    def page(self, accept: str) -> tuple[str, bytes]:
        """The content type and the page, for the value of an Accept header."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return content_type, encode(self)

    def collect(self) -> Iterator[Metric]:
        """All families, as an encoder of prometheus-client asks for them."""
        from prometheus_client import REGISTRY
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield from REGISTRY.collect()
        requests = CounterMetricFamily(
            f"{PREFIX}_requests", "Requests that were answered.", labels=["method", "path", "status"]
        )
        for (method, path, status), count in self.requests.copy().items():
            requests.add_metric([method, path, str(status)], count)
        yield requests
        outcomes = CounterMetricFamily(
            f"{PREFIX}_outcomes", "Outcomes that came: new, again, or refused.", labels=["result"]
        )
        for result in ("new", "again", "refused"):
            outcomes.add_metric([result], getattr(self.intake, result))
        yield outcomes
        waiting = GaugeMetricFamily(f"{PREFIX}_outcomes_waiting", "Outcomes that are not committed yet.")
        waiting.add_metric([], self.intake.waiting)
        yield waiting
        evidence = GaugeMetricFamily(
            f"{PREFIX}_gate_evidence",
            "Evidence that a canary is worse, as part of what a fail takes: 1 is a fail.",
            labels=["name", "environment", "canary"],
        )
        for (deployment, canary), part in self.gates.evidence.copy().items():
            evidence.add_metric([deployment.name, deployment.environment, canary], part)
        yield evidence
