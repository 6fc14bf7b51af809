"""Rules about probes: what is asked, how long an answer may take, and what follows from none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests
    from shipway.check.manifests.workload import Container, Probe, Workload

_DOWNSTREAM = re.compile(
    r"ready|readiness|deep|full|depend|downstream|database|upstream|/(db|deps|model|llm|mcp)\b", re.I
)
_ALIVE = re.compile(r"/(livez|live|liveness|alive|ping)/?$", re.I)
BLOCKED = 20.0
"""Seconds that a busy event loop may be silent: blocking calls of 17 s were seen in agents in production."""
IMPORTS = 30.0
"""Seconds that a start may take: an agent's packages take 4 s of a whole core to import, and has a tenth."""


def probes_are_there(manifests: Manifests) -> Iterator[Seen]:
    """Whoever serves has a readiness and a liveness probe.

    Without readiness a replica is sent requests while it imports, and rollouts call it healthy at once.
    Without liveness a process that hangs stays for ever. Compose knows one question, `healthcheck`, and ECS
    `healthCheck`.
    """
    for workload, container in _serving(manifests):
        if workload.platform == "kubernetes":
            asked = ("readiness", "liveness")
            missing = [kind for kind in asked if container.probe(kind) is None]
            if missing:
                message = f"{container.name} has no {' and no '.join(missing)} probe"
                fix = "ask for readiness and for liveness, at two paths that answer different questions"
                yield Seen(message, fix, container.line, workload.file)
        elif not container.probes and not container.built:
            name = "healthcheck" if workload.platform == "compose" else "healthCheck"
            message = f"{container.name} has no {name}: one that hangs passes for healthy"
            yield Seen(message, f"add {name}, asking the server itself", container.line, workload.file)


def _serving(manifests: Manifests) -> Iterator[tuple[Workload, Container]]:
    for workload in manifests.whole():
        reached = any(manifests.selecting(workload, "Service"))
        for container in workload.mains if workload.runs_on else ():
            if container.published or container.probes or reached:
                yield workload, container


def probes_differ(manifests: Manifests) -> Iterator[Seen]:
    """Liveness and readiness ask different questions.

    Readiness asks whether requests should come here now, and looks at what they need: model, MCP servers and
    secrets. Liveness asks whether the process is beyond help, and looks at nothing else. With one endpoint
    for both, either an outage of the model restarts every replica at once, or readiness says nothing.
    """
    for workload, container, liveness in _liveness(manifests):
        readiness = container.probe("readiness")
        if readiness and not readiness.is_tcp and liveness.target == readiness.target:
            message = (
                f"liveness and readiness of {container.name} are one question: {_shown(liveness.target)}"
            )
            fix = "ask for liveness what looks at the process alone, such as /healthz; for readiness /readyz"
            yield Seen(message, fix, liveness.line, workload.file)


def liveness_looks_at_itself(manifests: Manifests) -> Iterator[Seen]:
    """Liveness does not look downstream.

    A restart mends no database and no model. It loses the conversations that go on, and the whole fleet
    starts at once while what it waits for is down. The name of the path tells: `ready`, `deep`, `db`.
    """
    for workload, container, liveness in _liveness(manifests):
        readiness = container.probe("readiness")
        same = readiness is not None and readiness.target == liveness.target
        if _DOWNSTREAM.search(liveness.path) and not same:
            message = f"liveness of {container.name} asks {liveness.path}: by its name that looks at others"
            fix = "ask what looks at the process alone, such as /healthz"
            yield Seen(message, fix, liveness.line, workload.file)


def readiness_looks_around(manifests: Manifests) -> Iterator[Seen]:
    """Readiness looks at what a request needs.

    A port is open long before the agent is imported, and stays open while the model, an MCP server or a
    secret is missing.
    """
    for workload in manifests.workloads:
        for container in workload.mains:
            probe = container.probe("readiness")
            if probe and workload.platform == "kubernetes" and (probe.is_tcp or _ALIVE.search(probe.path)):
                message = f"readiness of {container.name} asks {_shown(probe.target)}: that says it is alive"
                fix = "ask what looks at the model, MCP servers and secrets, such as /readyz"
                yield Seen(message, fix, probe.line, workload.file)


def liveness_is_patient(manifests: Manifests) -> Iterator[Seen]:
    """Liveness waits 20 seconds and more before it kills.

    One blocking call in an agent stops its event loop, and the probe's answer with it. Shortest is
    `periodSeconds` times (`failureThreshold` - 1), and `timeoutSeconds`.
    """
    for workload, container, liveness in _liveness(manifests):
        if liveness.patience < BLOCKED:
            message = f"liveness of {container.name} kills after a silence of {liveness.patience:g} s"
            fix = "write periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3, or more"
            yield Seen(message, fix, liveness.line, workload.file)


def start_has_time(manifests: Manifests) -> Iterator[Seen]:
    """Until the agent has started, liveness waits: a startup probe.

    An agent's packages take seconds of a whole core to import, and it has a tenth of one. Liveness that
    begins at once restarts it while it does, again and again, and most surely on a busy node.
    """
    for workload, container, liveness in _liveness(manifests):
        time = liveness.delay + liveness.patience
        if container.probe("startup") is None and time < IMPORTS and workload.platform == "kubernetes":
            message = f"{container.name} has no startup probe: liveness ends a start of {time:g} s"
            fix = "add a startupProbe with the same question, periodSeconds: 2 and failureThreshold: 60"
            yield Seen(message, fix, liveness.line, workload.file)


def _liveness(manifests: Manifests) -> Iterator[tuple[Workload, Container, Probe]]:
    for workload in manifests.workloads:
        for container in workload.own:
            if probe := container.probe("liveness"):
                yield workload, container, probe


def _shown(target: str) -> str:
    return target if len(target) < 60 else f"{target[:57]}…"
