"""Alerts: when somebody has to look, and where.

In: the job that a stack is for Prometheus. Out: rules. Metrics are those of docs/reference/metrics.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

JOB = "JOB"
"""Stands in expressions for the label that selects one stack."""


def for_job(expression: str, job: str) -> str:
    return expression.replace(JOB, f'job="{job}"')


@dataclass(frozen=True, slots=True)
class Alert:
    """`critical` wakes somebody: callers are harmed. `warning` waits for the morning."""

    name: str
    severity: Literal["critical", "warning"]
    expression: str
    lasts: str
    summary: str
    runbook: str
    """What to do first, in a sentence or two."""

    def rule(self, job: str) -> dict[str, Any]:
        return {
            "alert": self.name,
            "expr": for_job(self.expression, job),
            "for": self.lasts,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.runbook},
        }


ALERTS: tuple[Alert, ...] = (
    Alert(
        "AgentGone",
        "critical",
        "absent(shipway_ready{JOB})",
        "5m",
        "no replica is there",
        "`kubectl get pods` and `kubectl describe pod`: an image or a secret that is missing is in the "
        "events, an "
        "import that fails in the container's last message. Where the pods are well, Prometheus cannot reach "
        "them: look at the NetworkPolicy, which lets the namespace `monitoring` in.",
    ),
    Alert(
        "AgentNotReady",
        "critical",
        "sum(shipway_ready{JOB}) == 0",
        "2m",
        "no replica takes traffic",
        "shipway_check_up == 0 names the check; /readyz on the admin port has its last error.",
    ),
    Alert(
        "ReplicaNotReady",
        "warning",
        "shipway_ready{JOB} == 0 and shipway_draining{JOB} == 0",
        "10m",
        "{{ $labels.pod }} takes no traffic",
        "/readyz on the admin port of that pod names the check and its last error. A node's network or a "
        "volume "
        "are likely when other replicas are ready.",
    ),
    Alert(
        "ModelDown",
        "critical",
        'max(shipway_check_up{JOB, check="model"}) == 0',
        "2m",
        "no replica reaches the model",
        "Look at the provider's status page, then at shipway_model_requests_total by `outcome`: 429 is a "
        "limit of "
        "the account, 401 a key that was revoked. A fallback is switched on by `model` in policy.json.",
    ),
    Alert(
        "TurnsFail",
        "critical",
        'sum(rate(shipway_turns_total{JOB, outcome="error"}[10m])) '
        '/ sum(rate(shipway_turns_total{JOB, outcome!="denied"}[10m])) > 0.05',
        "10m",
        "{{ $value | humanizePercentage }} of turns fail",
        "shipway_turn_errors_total says with which exception, log lines at `error` where. If it began with a "
        "rollout: `kubectl rollout undo`.",
    ),
    Alert(
        "TurnsSlow",
        "warning",
        "histogram_quantile(0.95, sum by (le) "
        '(rate(shipway_turn_duration_seconds_bucket{JOB, outcome="ok"}[10m]))) > 60',
        "15m",
        "one turn of twenty takes {{ $value | humanizeDuration }} or more",
        "Compare the time to the first piece of the model's stream with the duration of tool calls: the "
        "larger "
        "one is the cause. A loop that lags points to a blocking call in the agent.",
    ),
    Alert(
        "FirstTokenSlow",
        "warning",
        "histogram_quantile(0.95, sum by (le) (rate(shipway_turn_first_token_seconds_bucket{JOB}[10m]))) "
        "> 15",
        "15m",
        "one caller of twenty waits {{ $value | humanizeDuration }} or more for the first text",
        "shipway_model_first_piece_seconds tells the model's part of it; the rest is tools, and turns of the "
        "same conversation that wait for each other.",
    ),
    Alert(
        "ModelRequestsFail",
        "warning",
        'sum by (host) (rate(shipway_model_requests_total{JOB, outcome!~"ok|left"}[10m])) '
        "/ sum by (host) (rate(shipway_model_requests_total{JOB}[10m])) > 0.1",
        "10m",
        "{{ $value | humanizePercentage }} of requests to {{ $labels.host }} fail",
        "`outcome` is the HTTP status, or how the stream ended. SDKs try again, so turns may still be "
        "well: 429 "
        "asks for a higher limit or fewer requests.",
    ),
    Alert(
        "McpServerDown",
        "warning",
        "max by (server) (shipway_mcp_up{JOB}) == 0",
        "2m",
        "{{ $labels.server }} is down",
        "The log of its container says why; /readyz of the agent has the last error. An optional one "
        "leaves the "
        "agent degraded, any other takes it out of traffic.",
    ),
    Alert(
        "McpServerCrashes",
        "warning",
        "increase(shipway_mcp_restarts_total{JOB}[15m]) > 3",
        "0m",
        "{{ $labels.server }} in {{ $labels.pod }} was restarted {{ $value | humanize }} times in 15 minutes",
        "Its log has the end of each; a limit of memory that is too low is common.",
    ),
    Alert(
        "ToolFails",
        "warning",
        'sum by (server, tool) (rate(shipway_mcp_calls_total{JOB, method="tools/call", '
        'outcome!~"ok|cancelled|denied"}[10m])) '
        '/ sum by (server, tool) (rate(shipway_mcp_calls_total{JOB, method="tools/call"}[10m])) > 0.1',
        "10m",
        "{{ $value | humanizePercentage }} of calls of {{ $labels.server }}/{{ $labels.tool }} fail",
        "Log lines of shipway.mcp have `outcome` and `error`. `servers` or `tools` of `kill` in "
        "policy.json switch it "
        "off without a rollout.",
    ),
    Alert(
        "McpServerSaturated",
        "warning",
        "max by (server) (shipway_mcp_calls_waiting{JOB}) > 0",
        "5m",
        "callers of {{ $labels.server }} wait for each other",
        "Raise [mcp.{{ $labels.server }}] concurrency, or run more replicas of it.",
    ),
    Alert(
        "PolicyDenies",
        "warning",
        'sum by (rule) (rate(shipway_policy_denied_total{JOB, rule!~"kill.*"}[10m])) > 0.1',
        "15m",
        "the policy refuses turns by {{ $labels.rule }}",
        "A tenant is at its limit: outcomes in the log name it. Raise the limit if it is right to: "
        "`shipway policy set --env`.",
    ),
    Alert(
        "PolicyUnreadable",
        "critical",
        'increase(shipway_policy_failures_total{JOB, source!="control"}[10m]) > 0',
        "0m",
        "{{ $labels.pod }} cannot take its policy",
        "The last good one stands, and a kill switch would not arrive: the log says what is wrong with it.",
    ),
    Alert(
        "PolicyStale",
        "warning",
        "max by (source) (shipway_policy_age_seconds{JOB}) > 300",
        "0m",
        "{{ $labels.source }} has given no policy for {{ $value | humanizeDuration }}",
        "The last good one stands, and a kill switch would not arrive: the log says why. Where it is control "
        "that is away, outcomes wait on the agents' disks.",
    ),
    Alert(
        "CanaryWorse",
        "critical",
        "max by (name, environment, canary) (shipway_control_gate_evidence{JOB}) >= 1",
        "0m",
        "{{ $labels.canary }} of {{ $labels.name }} in {{ $labels.environment }} is worse",
        "Take it back. Control's page shows by which metric, with the evidence over time.",
    ),
    Alert(
        "ControlBehind",
        "warning",
        "max(shipway_control_outcomes_waiting{JOB}) > 10000",
        "5m",
        "control cannot write outcomes as fast as they come",
        "Its volume or its database is slow: look at the node's disk, or give it PostgreSQL. Nothing is "
        "lost: agents that it sends away keep their lines.",
    ),
    Alert(
        "SecretMissing",
        "critical",
        "min by (secret) (shipway_secret_up{JOB}) == 0",
        "2m",
        "{{ $labels.secret }} is missing or has expired",
        "/readyz says which; a broker's refusal is in the log. Put the value back into its Secret: files are "
        "seen within a minute or so, variables with a restart.",
    ),
    Alert(
        "AgentBlocked",
        "warning",
        "shipway_heartbeat_age_seconds{JOB} > 5",
        "0m",
        "the agent in {{ $labels.pod }} stands still",
        "/healthz on the admin port says at which line; after 30 s the pod is restarted. Await there, or "
        "move "
        "the call to a thread.",
    ),
    Alert(
        "LoopLags",
        "warning",
        "histogram_quantile(0.95, sum by (pod, le) (rate(shipway_loop_lag_seconds_bucket{JOB}[5m]))) > 0.5",
        "10m",
        "the agent's loop in {{ $labels.pod }} is late by {{ $value | humanizeDuration }}",
        "Code that computes or blocks holds every other turn up: the log names lines that block for 2 s "
        "or more. Else "
        "run more replicas.",
    ),
    Alert(
        "DrainOverdue",
        "warning",
        "shipway_draining{JOB} == 1",
        "10m",
        "{{ $labels.pod }} has been ending for ten minutes",
        "A node that is lost, or a grace of more than ten minutes: `kubectl get pod` shows what holds it.",
    ),
)
