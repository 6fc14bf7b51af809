"""Rules about the end of a container: how long it may take, and whether requests know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests
    from shipway.check.manifests.workload import Container, Workload

_KEYS = {
    "kubernetes": ("terminationGracePeriodSeconds", 30.0),
    "compose": ("stop_grace_period", 10.0),
    "ecs": ("stopTimeout", 30.0),
}
"""What each platform calls it, and its default in seconds."""
_OPTIONS = ("--timeout-graceful-shutdown", "--graceful-timeout", "--timeout-worker-graceful-shutdown")

_DELAY = "SHIPWAY_DRAIN_DELAY"
"""The seconds that the runtime goes on accepting after SIGTERM."""


def drain_fits(manifests: Manifests) -> Iterator[Seen]:
    """The grace period is longer than the preStop hook and the drain together.

    The hook's time counts. What is not done when the period ends is killed: the last answers are cut off, the
    last writes are lost. The drain is what agent.toml says of `health.grace`, or the server's own option.
    """
    for workload, container in _ending(manifests):
        drain, said = _drain(manifests, container)
        key, default = _KEYS[workload.platform]
        grace = _grace(workload, container, default)
        needed = (container.pre_stop or 0) + drain
        if drain and grace < needed:
            hook = f" after {container.pre_stop:g} s of preStop" if container.pre_stop else ""
            message = (
                f"{container.name} drains for {drain:g} s ({said}){hook}, and is killed after {grace:g} s"
            )
            fix = f"{key}: {needed + 10:g}"
            yield Seen(message, fix, workload.grace_line or container.line, workload.file)


def answers_may_finish(manifests: Manifests) -> Iterator[Seen]:
    """An agent says how long it may take to stop.

    A turn with tools takes a minute and more. Platforms kill after 30 seconds unless they are told, and
    Compose after 10, so at every rollout somebody's answer is cut off.
    """
    for workload, container in _ending(manifests):
        key, default = _KEYS[workload.platform]
        said = container.stop if workload.platform == "ecs" else workload.grace
        drain, _ = _drain(manifests, container)
        if said is None and workload.is_agent and drain <= default and not workload.partial:
            message = f"{container.name} is killed {default:g} s after SIGTERM, in the middle of an answer"
            fix = f"{key}: a little more than your longest turn"
            fix = f'"{key}": 120 (the most on Fargate)' if workload.platform == "ecs" else fix
            yield Seen(message, fix, container.line, workload.file)


def requests_stop_first(manifests: Manifests) -> Iterator[Seen]:
    """A preStop hook waits until no more requests come.

    Kubernetes sends SIGTERM and takes the pod out of its Services at the same time, and the second takes
    seconds to be known everywhere. Most servers close their port at SIGTERM: every rollout refuses requests.
    An agent that shipway's runtime drains goes on accepting for `SHIPWAY_DRAIN_DELAY` and needs no hook.
    """
    for workload, container in _ending(manifests):
        asked = workload.platform == "kubernetes" and container.probe("readiness") is not None
        waits = any(variable.name == _DELAY for variable in container.env)
        if asked and not waits and container.pre_stop is None and not workload.partial:
            message = f"{container.name} has no preStop hook: requests that come after SIGTERM are refused"
            fix = "lifecycle: {preStop: {sleep: {seconds: 5}}}"
            yield Seen(message, fix, container.line, workload.file)


def _ending(manifests: Manifests) -> Iterator[tuple[Workload, Container]]:
    for workload in manifests.workloads:
        for container in workload.mains if workload.runs_on else ():
            yield workload, container


def _grace(workload: Workload, container: Container, default: float) -> float:
    said = container.stop if workload.platform == "ecs" else workload.grace
    return default if said is None else said


def _drain(manifests: Manifests, container: Container) -> tuple[float, str]:
    """How long it drains, and who says so; 0 where nobody does."""
    for command in container.commands:
        if (value := command.option(*_OPTIONS)) and value.isdigit():
            return float(value), next(o for o in _OPTIONS if command.has(o))
    if manifests.drain and not container.is_mcp:
        return manifests.drain, "health.grace in agent.toml"
    return 0, ""
