"""The dashboard of one stack, for Grafana.

In: names, and the job that the stack is for Prometheus. Out: JSON that Grafana imports. Metrics are those of
docs/reference/metrics.md. The table below is read from left to right, three panels a row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from shipway.render.kubernetes.monitoring.alerts import for_job

_SCHEMA = 39
_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: its lines as (expression, legend)."""

    title: str
    unit: Literal["short", "s", "reqps", "percentunit", "currencyUSD", "bytes", "cps"]
    lines: tuple[tuple[str, str], ...]
    hint: str = ""


def _quantiles(metric: str, labels: str = "JOB") -> tuple[tuple[str, str], ...]:
    """The median, and what one of twenty exceeds."""
    buckets = f"sum by (le) (rate({metric}_bucket{{{labels}}}[$__rate_interval]))"
    return tuple((f"histogram_quantile({q}, {buckets})", f"p{q * 100:g}") for q in (0.5, 0.95))


def _rate(metric: str, by: str, labels: str = "JOB") -> tuple[tuple[str, str], ...]:
    """Events a second, one line for each value of a label."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return ((f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))", legend),)


ROWS: dict[str, tuple[Panel, ...]] = {
    "Turns": (
        Panel("Turns", "cps", _rate("shipway_turns_total", "outcome"), "ok, error, denied, cancelled"),
        Panel(
            "Turns that fail",
            "percentunit",
            (
                (
                    'sum(rate(shipway_turns_total{JOB, outcome="error"}[$__rate_interval])) '
                    '/ sum(rate(shipway_turns_total{JOB, outcome!="denied"}[$__rate_interval]))',
                    "of those that the policy let in",
                ),
            ),
        ),
        Panel("Errors by exception", "cps", _rate("shipway_turn_errors_total", "type")),
        Panel("Duration", "s", _quantiles("shipway_turn_duration_seconds", 'JOB, outcome="ok"')),
        Panel("First token", "s", _quantiles("shipway_turn_first_token_seconds")),
        Panel(
            "Turns under way",
            "short",
            (
                ("sum(shipway_turns_active{JOB})", "running"),
                ("sum(shipway_turns_waiting{JOB})", "waiting for another one of their conversation"),
            ),
        ),
    ),
    "Model": (
        Panel("Requests", "reqps", _rate("shipway_model_requests_total", "host, outcome")),
        Panel("First piece of a stream", "s", _quantiles("shipway_model_first_piece_seconds")),
        Panel("Tokens", "cps", _rate("shipway_tokens_total", "model, type")),
        Panel(
            "Cost in an hour",
            "currencyUSD",
            (("sum(increase(shipway_cost_usd_total{JOB}[1h]))", "by [model] prices"),),
        ),
    ),
    "Tools": (
        Panel(
            "Calls that fail",
            "cps",
            _rate(
                "shipway_mcp_calls_total",
                "server, tool, outcome",
                'JOB, method="tools/call", outcome!="ok"',
            ),
        ),
        Panel(
            "Duration of calls",
            "s",
            _quantiles("shipway_mcp_call_duration_seconds", 'JOB, method="tools/call"'),
        ),
        Panel(
            "MCP servers up",
            "short",
            (("min by (server) (shipway_mcp_up{JOB})", "{{server}}"),),
            "1 while a server is up in every replica",
        ),
    ),
    "Policy and readiness": (
        Panel("Refused by the policy", "cps", _rate("shipway_policy_denied_total", "rule")),
        Panel(
            "Replicas",
            "short",
            (
                ("sum(shipway_ready{JOB})", "ready"),
                ("sum(shipway_draining{JOB})", "draining"),
                ("count(shipway_ready{JOB})", "all"),
            ),
        ),
        Panel(
            "Checks of readiness",
            "short",
            (("min by (check) (shipway_check_up{JOB})", "{{check}}"),),
            "1 while a check is up in every replica",
        ),
    ),
    "Control": (
        Panel("Outcomes", "cps", _rate("shipway_control_outcomes_total", "result"), "new, again, refused"),
        Panel(
            "Outcomes that wait for the disk",
            "short",
            (("max(shipway_control_outcomes_waiting{JOB})", "waiting"),),
        ),
        Panel(
            "Evidence that a canary is worse",
            "short",
            (
                (
                    "max by (name, environment, canary) (shipway_control_gate_evidence{JOB})",
                    "{{name}} {{environment}} {{canary}}",
                ),
            ),
            "1 is a fail",
        ),
    ),
    "Process": (
        Panel("Lag of the loop", "s", _quantiles("shipway_loop_lag_seconds")),
        Panel("Memory", "bytes", (("process_resident_memory_bytes{JOB}", "{{pod}}"),)),
        Panel("Revisions", "short", (("count by (revision) (shipway_build_info{JOB})", "{{revision}}"),)),
    ),
}


def document(name: str, environment: str, job: str) -> str:
    """The whole dashboard; its uid stays the same, so that an import replaces the last one."""
    return (
        json.dumps(
            {
                "uid": f"shipway-{job}"[:40],
                "title": f"{name} ({environment})",
                "tags": ["shipway"],
                "schemaVersion": _SCHEMA,
                "editable": True,
                "refresh": "30s",
                "time": {"from": "now-3h", "to": "now"},
                "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
                "panels": _panels(job),
            },
            indent=2,
        )
        + "\n"
    )


def _panels(job: str) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _COLUMNS * _WIDTH, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []})
        top += 1
        for number, panel in enumerate(row):
            place = {
                "x": number % _COLUMNS * _WIDTH,
                "y": top + number // _COLUMNS * _HEIGHT,
                "w": _WIDTH,
                "h": _HEIGHT,
            }
            panels.append({"id": len(panels) + 1, "gridPos": place, **_graph(panel, job)})
        top += -(-len(row) // _COLUMNS) * _HEIGHT
    return panels


def _graph(panel: Panel, job: str) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.hint,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": for_job(expression, job),
                "legendFormat": legend,
            }
            for number, (expression, legend) in enumerate(panel.lines)
        ],
    }
