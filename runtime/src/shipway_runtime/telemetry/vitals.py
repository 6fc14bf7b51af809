"""The process itself as metric families: what runs here, whether it lives, whether it is ready.

In: the deployment, its heart and its readiness. Out: families. Imported by the first scrape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

from .. import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from ..config import Deployment
    from ..health import Heart, Readiness


def families(deployment: Deployment, heart: Heart, readiness: Readiness) -> Iterator[Metric]:
    about = {
        "name": deployment.manifest.name,
        "revision": deployment.revision,
        "environment": deployment.environment,
        "runtime": __version__,
    }
    yield InfoMetricFamily("shipway_build", "What runs in this process", about)
    yield GaugeMetricFamily(
        "shipway_heartbeat_age_seconds", "Since the main loop last turned; above 2 it is blocked", heart.age()
    )
    yield from _readiness(readiness)


def _readiness(readiness: Readiness) -> Iterator[Metric]:
    status, document = readiness.document()
    yield GaugeMetricFamily("shipway_ready", "1 while /readyz lets traffic come", status == 200)
    up = GaugeMetricFamily("shipway_check_up", "1 while the check is up", labels=["check", "required"])
    since = GaugeMetricFamily(
        "shipway_check_state_start_time_seconds",
        "When the check came into its state, since the epoch",
        labels=["check"],
    )
    for name, check in document["checks"].items():
        if name != "draining":
            up.add_metric([name, str(check.get("required", True)).lower()], check["state"] == "up")
            since.add_metric([name], check["since"])
    draining = document["checks"]["draining"]["state"] == "yes"
    yield GaugeMetricFamily("shipway_draining", "1 between SIGTERM and the end", draining)
    yield from (up, since)
