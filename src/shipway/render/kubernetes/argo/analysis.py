"""What asks control, as AnalysisTemplates.

In: a stack and its RolloutPlan. Out: objects. Argo knows three results, as the gate does: failed goes back,
inconclusive pauses until a person has looked, successful goes on. A control that is away is an error, which
is asked again for an hour.

    NAME-begin           control begins to judge, or hears of another share
    NAME-watch           in the background: fails as soon as the canary is worse
    NAME-hold            after a hold: passes without evidence of harm; waits as long again for data
    NAME-decide          of a step without a hold: passes when the gates are certain
    NAME-suite           the Job with the paired suite
    NAME-suite-verdict   what its run came to
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.plan.control import Control
from shipway.plan.rollout import RolloutPlan
from shipway.plan.stack import StackPlan
from shipway.render import gate
from shipway.render.kubernetes import pod
from shipway.render.kubernetes.labels import EVALS, labels, metadata
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.render.kubernetes.pod import Part

EVERY_S = 60
_AWAY = 3600 // EVERY_S
"""Looks in a row at a control that does not answer, before Argo goes back."""
_SUITE_S = 3600
_WORSE = 'result.verdict == "fail"'
_LATEST = "len(result) > 0 && result[0].verdict"
_PROJECT = "/project"
_STABLE = "/tmp/stable.json"  # noqa: S108 - the container's

BEGIN, WATCH, HOLD, DECIDE = "begin", "watch", "hold", "decide"
SUITE, SUITE_VERDICT = "suite", "suite-verdict"


def template_name(rollout: RolloutPlan, part: str) -> str:
    """Of one of these."""
    return f"{rollout.name}-{part}"


def looks(still_open: int) -> dict[str, str]:
    """Arguments of an analysis that may be open so often."""
    return {"looks": str(still_open + 1), "open": str(still_open)}


def secret_name(plan: StackPlan) -> str:
    """The Secret with what the rollout needs: `token` for control, and what the suite asks with."""
    return f"{plan.name}-rollout"


def canary_host(plan: StackPlan) -> str:
    return f"{plan.name}-canary"


def suite_image(plan: StackPlan) -> str:
    """People's own, for each release: docs/reference/argo.md says what has to be in it."""
    repository = plan.agent.image.partition("@")[0]
    release = (plan.revision or "unreleased").rpartition("-")[0]
    return f"{repository}-evals:{release}"


def objects(plan: StackPlan, rollout: RolloutPlan, control: Control) -> list[Part]:
    """The templates that the steps name."""
    ask = _Asking(plan, rollout, control)
    found = []
    if rollout.watched:
        asked: dict[str, str | None] = {"canary": None, **looks(_AWAY)}
        held = {step.hold_s is not None for step in rollout.steps if step.weight < gate.WHOLE}
        found += [
            ask.template(BEGIN, {"canary": None, "share": None}, _begin(ask)),
            ask.template(WATCH, {"canary": None}, _watch(ask)),
            *([ask.template(HOLD, asked, _passes(ask, "&enough=1"))] if True in held else []),
            *([ask.template(DECIDE, asked, _passes(ask, ""))] if False in held else []),
        ]
    if rollout.suite:
        found += [
            ask.template(SUITE, {}, _suite(ask)),
            ask.template(SUITE_VERDICT, {"canary": None}, _suite_verdict(ask)),
        ]
    return found


# -- Metrics -------------------------------------------------------------------------------------------------


def _begin(ask: _Asking) -> Part:
    """`share` is a number or null: it goes in as it is."""
    body = json.dumps(gate.body(ask.rollout) | {"share": "{{args.share}}"})
    request = {"method": "PUT", "body": body.replace('"{{args.share}}"', "{{args.share}}")}
    return {
        "name": "begin",
        "interval": f"{EVERY_S}s",
        "count": 1,
        "consecutiveErrorLimit": _AWAY,
        "provider": ask.web("/v1/gates/{{args.canary}}", "", request),
    }


def _watch(ask: _Asking) -> Part:
    return {
        "name": "watch",
        "interval": f"{EVERY_S}s",
        "consecutiveErrorLimit": _AWAY,
        "failureCondition": _WORSE,
        "successCondition": 'result.verdict != "fail" && !result.pause',
        "provider": ask.web("/v1/verdict", "&canary={{args.canary}}"),
    }


def _passes(ask: _Asking, more: str) -> Part:
    """The first look that passes is the last one, and one that is open once too often. Argo wants a count of
    whatever a step waits for; it is never reached otherwise."""
    return {
        "name": "verdict",
        "interval": f"{EVERY_S}s",
        "count": "{{args.looks}}",
        "consecutiveSuccessLimit": 1,
        "inconclusiveLimit": "{{args.open}}",
        "consecutiveErrorLimit": _AWAY,
        "failureCondition": _WORSE,
        "successCondition": 'result.verdict == "pass"',
        "provider": ask.web("/v1/verdict", "&canary={{args.canary}}" + more),
    }


def _suite_verdict(ask: _Asking) -> Part:
    return {
        "name": "suite",
        "interval": f"{EVERY_S}s",
        "count": 1,
        "consecutiveErrorLimit": _AWAY,
        "failureCondition": f'{_LATEST} == "fail"',
        "successCondition": f'{_LATEST} == "pass"',
        "provider": ask.web("/v1/evals", "&limit=1&revision={{args.canary}}"),
    }


# -- Their parts ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asking:
    """How all of them reach control: its address first among the arguments, where an overlay changes it."""

    plan: StackPlan
    rollout: RolloutPlan
    control: Control

    @property
    def address(self) -> str:
        """From another namespace, which is Argo's."""
        return f"http://{self.control.host}.{self.plan.namespace}:{self.control.port}"

    def template(self, part: str, arguments: dict[str, str | None], metric: Part) -> Part:
        token = {"secretKeyRef": {"name": secret_name(self.plan), "key": "token"}}
        args: list[dict[str, Any]] = [{"name": "control", "value": self.address}]
        args += [{"name": key} | ({"value": value} if value else {}) for key, value in arguments.items()]
        args.append({"name": "token", "valueFrom": token})
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": metadata(self.plan, template_name(self.rollout, part), EVALS),
            "spec": {"args": args, "metrics": [metric]},
        }

    def web(self, path: str, query: str, more: Part | None = None) -> Part:
        url = "{{args.control}}" + f"{path}?{gate.deployment(self.rollout)}{query}"
        headers = [{"key": "Authorization", "value": "Bearer {{args.token}}"}]
        headers += [{"key": "Content-Type", "value": "application/json"}] if more else []
        return {"web": {"url": url, **(more or {}), "headers": headers, "jsonPath": "{$}"}}


def _suite(ask: _Asking) -> Part:
    """A run of stable, and one of the canary against it: so that commands of other frameworks do, too. A Job
    that is inconclusive ends well: what the run says of itself decides then."""
    plan = ask.plan
    template = {
        "metadata": {"labels": labels(plan, EVALS)},
        "spec": {
            **pod.POD,
            "restartPolicy": "Never",
            "securityContext": pod.pod_security(),
            "containers": [_suite_container(ask)],
            "volumes": [pod.tmp(EVALS)[0]],
        },
    }
    job = {"backoffLimit": 0, "activeDeadlineSeconds": _SUITE_S, "template": template}
    return {"name": "suite", "provider": {"job": {"spec": job}}}


def _suite_container(ask: _Asking) -> Part:
    plan = ask.plan
    run = f"shipway eval --env {plan.environment} --url http://"
    stable = f"{run}{plan.name} --json > {_STABLE}"
    canary = f"{run}{canary_host(plan)} --against {_STABLE}"
    token = {"secretKeyRef": {"name": ask.control.host, "key": contract.env.CONTROL_TOKEN}}
    return {
        "name": EVALS,
        "image": suite_image(plan),
        "workingDir": _PROJECT,
        "command": ["sh", "-c", f"{stable}; {canary} || [ $? = 4 ]"],
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the container's
            {"name": contract.env.CONTROL_URL, "value": "{{args.control}}"},
            {"name": contract.env.CONTROL_TOKEN, "valueFrom": token},
        ],
        "envFrom": [{"secretRef": {"name": f"{plan.name}-evals", "optional": True}}],
        "resources": pod.resources(100, 512 * 2**20),
        "securityContext": pod.security(ours=True) | {"readOnlyRootFilesystem": False},
        "volumeMounts": [pod.tmp(EVALS)[1]],
    }
