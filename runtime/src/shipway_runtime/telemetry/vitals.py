"""The process itself as metric families: what runs here, whether it lives, whether it is ready.

In: the deployment, its heart and its readiness. Out: families. Imported by the first scrape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from .. import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from ..config import Deployment
    from ..health.heart import Heart
    from ..health.readiness import Readiness
    from ..secrets.declared import Secret


def families(
    deployment: Deployment, heart: Heart, readiness: Readiness, secrets: Mapping[str, Secret]
) -> Iterator[Metric]:
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
    delays = HistogramMetricFamily("shipway_loop_lag_seconds", "How late the main loop came to a timer")
    delays.add_metric([], heart.lag.buckets(), heart.lag.sum)
    yield delays
    yield from _readiness(readiness)
    yield from _secrets(secrets)


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


def _secrets(secrets: Mapping[str, Secret]) -> Iterator[Metric]:
    up = GaugeMetricFamily("shipway_secret_up", "1 while the secret is there", labels=["secret"])
    changed = GaugeMetricFamily(
        "shipway_secret_update_time_seconds",
        "Since when it has its value, since the epoch",
        labels=["secret"],
    )
    expires = GaugeMetricFamily(
        "shipway_secret_expiry_time_seconds",
        "When a broker's token is over, since the epoch",
        labels=["secret"],
    )
    for name, secret in secrets.items():
        up.add_metric([name], secret.problem() is None)
        for family, moment in ((changed, secret.changed), (expires, secret.expires)):
            if moment is not None:
                family.add_metric([name], moment)
    yield from (up, changed, expires)
