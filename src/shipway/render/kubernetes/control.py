"""Control: one pod, with a volume of its own or a schema in the agent's PostgreSQL.

In: a stack. Out: its ServiceAccount, Deployment, Service, NetworkPolicy and claim. They are a component,
because a fleet that has a control already needs no second one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render.kubernetes import network, pod, secrets
from shipway.render.kubernetes.disruption import ROLLING
from shipway.render.kubernetes.grace import DRAIN_DELAY_S
from shipway.render.kubernetes.labels import CONTROL, labels, metadata, selector
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.control import Control
    from shipway.plan.stack import StackPlan
    from shipway.render.kubernetes.pod import Part

_GRACE_S = 30
_VOLUME = "data"


def objects(plan: StackPlan, control: Control, *, plain: bool) -> list[Part]:
    own = metadata(plan, control.host, CONTROL)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": own,
        "automountServiceAccountToken": False,
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": own,
        "spec": {
            "selector": selector(plan, CONTROL),
            "ports": [{"name": CONTROL, "port": control.port, "targetPort": CONTROL, "appProtocol": "http"}],
        },
    }
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": own, "spec": _claimed(control)}
    return [
        account,
        *([] if control.database else [claim]),
        _deployment(plan, control, own, plain),
        service,
        network.to_control(plan, control, own),
    ]


def _deployment(plan: StackPlan, control: Control, own: Part, plain: bool) -> Part:
    """A volume is let go of before the next pod has it; in PostgreSQL two may share what they know."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": own,
        "spec": {
            "replicas": 1,
            "strategy": ROLLING if control.database else {"type": "Recreate"},
            "selector": {"matchLabels": selector(plan, CONTROL)},
            "template": {"metadata": {"labels": labels(plan, CONTROL)}, "spec": _pod(plan, control, plain)},
        },
    }


def _pod(plan: StackPlan, control: Control, plain: bool) -> Part:
    tmp, _ = pod.tmp(CONTROL)
    claimed = {"name": _VOLUME, "persistentVolumeClaim": {"claimName": control.host}}
    return {
        "serviceAccountName": control.host,
        **pod.POD,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": pod.pod_security(),
        "containers": [_container(control, plain)],
        "volumes": [secrets.control_volume(plan, control), *([] if control.database else [claimed]), tmp],
    }


def _container(control: Control, plain: bool) -> Part:
    lives, ready = pod.http(CONTROL, "/healthz"), pod.http(CONTROL, "/readyz")
    _, tmp = pod.tmp(CONTROL)
    mounts = [{"name": "secrets", "mountPath": contract.SECRETS, "readOnly": True}]
    mounts += [] if control.database else [{"name": _VOLUME, "mountPath": control.data}]
    return {
        "name": CONTROL,
        "image": control.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": CONTROL, "containerPort": control.port}],
        "resources": pod.resources(control.cpu, control.memory),
        "securityContext": pod.security(ours=True),
        "volumeMounts": [*mounts, tmp],
        "lifecycle": {"preStop": pod.pause(DRAIN_DELAY_S, plain=plain)},
        "startupProbe": pod.probe(lives, period=1, timeout=3, failures=60),
        "livenessProbe": pod.probe(lives, period=10, timeout=5, failures=3),
        "readinessProbe": pod.probe(ready, period=5, timeout=5, failures=3),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _claimed(control: Control) -> Part:
    size = pod.quantity(control.size)
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
