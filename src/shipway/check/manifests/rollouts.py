"""Rules about how a new revision reaches everybody, and how it is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.nodes import Node
    from shipway.check.manifests.subject import Manifests

_HOLDS = ("pause", "analysis", "experiment")


def rollout_has_steps(manifests: Manifests) -> Iterator[Seen]:
    """A canary is seen by few before it is by all.

    Steps that begin at 100, or that nothing stands between, are no canary: a worse prompt has reached
    everybody before anyone could tell.
    """
    fix = "setWeight: 5, a pause, setWeight: 25, a pause, and the rest"
    for thing in manifests.of_kind("Rollout"):
        canary = thing.node.at("spec", "strategy", "canary")
        steps = canary["steps"].items
        weights = [step["setWeight"].number or 0 for step in steps if "setWeight" in step]
        if canary.is_set or "canary" in thing.node.at("spec", "strategy"):
            if not any(weight < 100 for weight in weights):
                yield Seen(f"{thing.name} goes to everybody in one step", fix, canary.line, thing.file)
            elif not any(key in step for step in steps for key in _HOLDS):
                yield Seen(
                    f"{thing.name} does not wait between its steps", fix, canary["steps"].line, thing.file
                )
    for service in manifests.services:
        config = service.node["deploymentConfiguration"]
        percent = config.at("canaryConfiguration", "canaryPercent").number
        if config["strategy"].text == "CANARY" and percent is not None and percent >= 100:
            yield Seen(f"{service.name} has a canary of 100 %", "canaryPercent: 5", config.line, service.file)


def rollout_goes_back(manifests: Manifests) -> Iterator[Seen]:
    """A rollout is judged by something, and taken back by itself when that says no.

    Most bad revisions of an agent answer with status 200. Nobody looks at a dashboard for an hour at every
    step; what is not measured is promoted.
    """
    for thing in manifests.of_kind("Rollout"):
        strategy = thing.node.at("spec", "strategy")
        canary, other = strategy["canary"], strategy["blueGreen"]
        judged = canary["analysis"].is_set or any("analysis" in s for s in canary["steps"].items)
        judged = judged or any(k in other for k in ("prePromotionAnalysis", "postPromotionAnalysis"))
        if (canary.is_set or other.is_set) and not judged:
            message = f"{thing.name} is promoted whatever its answers are like"
            yield Seen(message, "add an analysis, with errors and evals", strategy.line, thing.file)
    for service in manifests.services:
        if not _goes_back(service.node["deploymentConfiguration"]):
            message = f"a deployment of {service.name} that fails stays as it is"
            fix = "deploymentCircuitBreaker or alarms, with enable and rollback true"
            line = service.node["deploymentConfiguration"].line or service.node.line
            yield Seen(message, fix, line, service.file)


def _goes_back(config: Node) -> bool:
    return any(
        config[way]["enable"].truth is True and config[way]["rollback"].truth is True
        for way in ("alarms", "deploymentCircuitBreaker")
    )
