"""Alerts and dashboard before Prometheus: it understands them, and alerts fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.docs.test_metrics import ROWS as OF_AGENTS
from tests.installing import from_pypi
from tests.kubernetes import stack

from shipway.render.kubernetes import render
from shipway.render.kubernetes.monitoring.alerts import ALERTS, for_job
from shipway.render.kubernetes.monitoring.dashboard import ROWS

OF_CONTROL = {
    name: set(re.findall(r"`(\w+)`", labels))
    for name, labels in re.findall(
        r"^\| `(shipway_control_\w+)` \|(.*?)\|",
        Path("docs/reference/control.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}
METRICS = OF_AGENTS | OF_CONTROL
JOB = "support-prod"
OPERATOR = "cloudcoil-models-prometheus-operator==0.80.1.0"
"""Types made from the Prometheus Operator's own definitions."""


def expressions() -> list[str]:
    own = [alert.expression for alert in ALERTS]
    shown = [expression for row in ROWS.values() for panel in row for expression, _ in panel.lines]
    return [for_job(one, JOB).replace("$__rate_interval", "5m") for one in (*own, *shown)]


def promtool(engine: Callable[[str], str], *words: object) -> str:
    command = [engine("promtool"), *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules(directory: Path) -> Path:
    """The groups of the PrometheusRule, as Prometheus itself reads them."""
    document = yaml.safe_load(render(stack(directory)).owned["base/monitoring/prometheusrule.yaml"])
    file = directory / "rules.yaml"
    file.write_text(yaml.safe_dump(document["spec"]))
    return file


def test_prometheus_takes_the_alerts(tmp_path: Path, engine: Callable[[str], str]) -> None:
    assert f"{len(ALERTS)} rules found" in promtool(engine, "check", "rules", rules(tmp_path))


def test_prometheus_understands_the_dashboard(tmp_path: Path, engine: Callable[[str], str]) -> None:
    own = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions())]
    (tmp_path / "panels.yaml").write_text(json.dumps({"groups": [{"name": "panels", "rules": own}]}))
    promtool(engine, "check", "rules", tmp_path / "panels.yaml")


def test_every_metric_and_label_exists() -> None:
    for one in expressions():
        for metric, labels in re.findall(r"(\w+)\{([^}]*)\}", one):
            known = METRICS[metric.removesuffix("_bucket")] | {"job"}
            assert set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", labels)) <= known, one
        assert set(re.findall(r"\b(?:shipway|process|python)_\w+", one)) == {
            metric for metric, _ in re.findall(r"(\w+)\{([^}]*)\}", one)
        }, f"{one}: a metric that is not of one stack"
        (first, *_) = [metric.removesuffix("_bucket") for metric, _ in re.findall(r"(\w+)\{([^}]*)\}", one)]
        for group in re.findall(r"by \(([^)]*)\)", one):
            assert set(group.split(", ")) <= METRICS[first] | {"le", "pod"}, one


SERIES: dict[str, dict[str, str]] = {
    # name of the alert: series -> values, a minute apart
    "AgentNotReady": {"shipway_ready": "0x30"},
    "ReplicaNotReady": {"shipway_ready": "0x30", "shipway_draining": "0x30"},
    "ModelDown": {'shipway_check_up{check="model"}': "0x30"},
    "TurnsFail": {
        'shipway_turns_total{outcome="error"}': "0+6x40",
        'shipway_turns_total{outcome="ok"}': "0+60x40",
    },
    "TurnsSlow": {
        'shipway_turn_duration_seconds_bucket{outcome="ok",le="60"}': "0x40",
        'shipway_turn_duration_seconds_bucket{outcome="ok",le="120"}': "0+9x40",
        'shipway_turn_duration_seconds_bucket{outcome="ok",le="+Inf"}': "0+9x40",
    },
    "FirstTokenSlow": {
        'shipway_turn_first_token_seconds_bucket{le="10"}': "0x40",
        'shipway_turn_first_token_seconds_bucket{le="30"}': "0+9x40",
        'shipway_turn_first_token_seconds_bucket{le="+Inf"}': "0+9x40",
    },
    "ModelRequestsFail": {
        'shipway_model_requests_total{host="h",outcome="429"}': "0+6x40",
        'shipway_model_requests_total{host="h",outcome="ok"}': "0+6x40",
    },
    "McpServerDown": {'shipway_mcp_up{server="git"}': "0x30"},
    "McpServerCrashes": {'shipway_mcp_restarts_total{server="git"}': "0+1x40"},
    "ToolFails": {
        'shipway_mcp_calls_total{server="s",tool="t",method="tools/call",outcome="timeout"}': "0+6x40",
        'shipway_mcp_calls_total{server="s",tool="t",method="tools/call",outcome="ok"}': "0+6x40",
    },
    "McpServerSaturated": {'shipway_mcp_calls_waiting{server="git"}': "2x30"},
    "PolicyDenies": {'shipway_policy_denied_total{rule="limits.requests"}': "0+60x40"},
    "PolicyUnreadable": {'shipway_policy_failures_total{source="file"}': "0+1x40"},
    "CanaryWorse": {'shipway_control_gate_evidence{name="a",environment="e",canary="c"}': "0.2x20 1x20"},
    "ControlBehind": {"shipway_control_outcomes_waiting": "20000x40"},
    "PolicyStale": {'shipway_policy_age_seconds{source="file"}': "400x30"},
    "SecretMissing": {'shipway_secret_up{secret="KEY"}': "0x30"},
    "AgentBlocked": {"shipway_heartbeat_age_seconds": "9x30"},
    "LoopLags": {
        'shipway_loop_lag_seconds_bucket{le="0.5"}': "0x40",
        'shipway_loop_lag_seconds_bucket{le="1"}': "0+9x40",
        'shipway_loop_lag_seconds_bucket{le="+Inf"}': "0+9x40",
    },
    "DrainOverdue": {"shipway_draining": "1x30"},
    "AgentGone": {},
}


def of_this_stack(series: str, job: str = JOB) -> str:
    name, _, labels = series.rstrip("}").partition("{")
    own = f'job="{job}",pod="p"'
    return f"{name}{{{labels + ',' + own if labels else own}}}"


def firing(name: str) -> str:
    return f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) > bool 0'


def test_alerts_fire_for_what_they_say_and_not_for_another_stack(
    tmp_path: Path, engine: Callable[[str], str]
) -> None:
    assert set(SERIES) == {alert.name for alert in ALERTS}
    file = rules(tmp_path)
    cases = []
    for job in (JOB, "another-prod"):
        for name, series in SERIES.items():
            own = [
                {"series": of_this_stack(one, job), "values": f"{values}"} for one, values in series.items()
            ]
            fires = job == JOB or name == "AgentGone"
            seen = [{"labels": "{}", "value": 1}] if fires else []
            test = {"expr": firing(name), "eval_time": "30m", "exp_samples": seen}
            cases.append({"interval": "1m", "input_series": own, "promql_expr_test": [test]})
    (tmp_path / "tests.yaml").write_text(json.dumps({"rule_files": [str(file)], "tests": cases}))
    promtool(engine, "test", "rules", tmp_path / "tests.yaml")


HEALTHY = {
    "shipway_ready": "1x40",
    "shipway_draining": "0x40",
    'shipway_check_up{check="model"}': "1x40",
    'shipway_turns_total{outcome="ok"}': "0+60x40",
    'shipway_turns_total{outcome="error"}': "0+1x40",
    'shipway_mcp_up{server="git"}': "1x40",
    'shipway_secret_up{secret="KEY"}': "1x40",
    "shipway_heartbeat_age_seconds": "0.1x40",
    'shipway_policy_age_seconds{source="file"}': "2x40",
    'shipway_policy_failures_total{source="file"}': "0x40",
    'shipway_policy_failures_total{source="control"}': "0+1x40",  # it is replaced now and then
    'shipway_control_gate_evidence{name="a",environment="e",canary="c"}': "0.4x40",
    "shipway_control_outcomes_waiting": "3x40",
    'shipway_mcp_calls_waiting{server="git"}': "0x40",
}


def test_nobody_is_woken_while_all_is_well(tmp_path: Path, engine: Callable[[str], str]) -> None:
    own = [{"series": of_this_stack(one), "values": values} for one, values in HEALTHY.items()]
    test = {"expr": 'count(ALERTS{alertstate=~"firing|pending"})', "eval_time": "30m", "exp_samples": []}
    case = {"interval": "1m", "input_series": own, "promql_expr_test": [test]}
    (tmp_path / "tests.yaml").write_text(json.dumps({"rule_files": [str(rules(tmp_path))], "tests": [case]}))
    promtool(engine, "test", "rules", tmp_path / "tests.yaml")


ROUND_TRIP = """\
import sys, yaml
from cloudcoil.models.prometheus_operator import v1
for document in yaml.safe_load_all(sys.stdin):
    model = getattr(v1, document["kind"]).model_validate(document)
    print(document["kind"], model.model_dump(mode="json", by_alias=True, exclude_unset=True) == document)
"""


@pytest.mark.long
@pytest.mark.network
@pytest.mark.parametrize(("more", "known"), [({}, True), ({"podTargetLabel": ["x"]}, False)])
def test_the_operator_knows_its_objects(tmp_path: Path, more: dict[str, object], known: bool) -> None:
    """A key that the operator's own types do not have would be lost on the way through them."""
    python = from_pypi(tmp_path / "operator", OPERATOR) / "python"
    owned = render(stack(tmp_path)).owned
    documents = [
        yaml.safe_load(owned[f"base/monitoring/{name}.yaml"]) for name in ("podmonitor", "prometheusrule")
    ]
    documents[0]["spec"] |= more
    text = yaml.safe_dump_all(documents)
    done = subprocess.run([python, "-c", ROUND_TRIP], input=text, capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"PodMonitor {known}", "PrometheusRule True"], done.stderr
