"""What every pod and every container of a stack has in common.

In: numbers and names. Out: parts of a pod's spec: the restricted profile of Pod Security, probes, resources,
a /tmp of each container's own (the agent keeps a token in its).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.plan import container
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

Part = dict[str, Any]

POD: Part = {
    # Names of services would come as variables: one that is called shipway-api would set SHIPWAY_API_PORT.
    "enableServiceLinks": False,
    "automountServiceAccountToken": False,
}
_TMP_SIZE = "1Gi"
_UNSAID_MEMORY = 64 * 2**20
_RESTRICTED: Part = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def pod_security() -> Part:
    """`fsGroup` lets the user of our images read mounted secrets, and write to the volume."""
    return {
        "runAsNonRoot": True,
        "fsGroup": contract.UID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def security(*, ours: bool) -> Part:
    """Who a container runs as. An image that others built keeps its user, and its writable root."""
    user = {"runAsUser": contract.UID, "runAsGroup": contract.UID, "readOnlyRootFilesystem": True}
    return (user if ours else {}) | _RESTRICTED


def resources(cpu: int | None, memory: int | None) -> Part:
    """CPU is asked for and may burst; memory is a limit, where agent.toml says how much."""
    requests = ({"cpu": f"{cpu}m"} if cpu is not None else {}) | {
        "memory": quantity(memory or _UNSAID_MEMORY)
    }
    return {"requests": requests} | ({} if memory is None else {"limits": {"memory": quantity(memory)}})


def quantity(size: int) -> str:
    """Bytes, in the largest unit of 1024 that leaves a whole number."""
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def tmp(name: str) -> tuple[Part, Part]:
    """A volume for /tmp, and its mount. Whoever fills it is evicted, and not the node."""
    return (
        {"name": f"tmp-{name}", "emptyDir": {"sizeLimit": _TMP_SIZE}},
        {"name": f"tmp-{name}", "mountPath": "/tmp"},  # noqa: S108 - the container's
    )


def http(port: str, path: str) -> Part:
    return {"httpGet": {"path": path, "port": port}}


def command(port: int, path: str) -> Part:
    """For what listens on loopback: the kubelet asks from outside."""
    return {"exec": {"command": list(container.probe(port, path))}}


def probe(action: Part, *, period: int, timeout: int, failures: int) -> Part:
    return action | {"periodSeconds": period, "timeoutSeconds": timeout, "failureThreshold": failures}


def pause(seconds: int, *, plain: bool) -> Part:
    """Before SIGTERM, until nobody sends requests any more. Clusters before 1.30 know no `sleep`: there a
    program of our images does it."""
    if not plain:
        return {"sleep": {"seconds": seconds}}
    return {"exec": {"command": [container.PYTHON, "-IS", "-c", f"import time; time.sleep({seconds})"]}}


def without_empty(spec: Mapping[str, Any]) -> Part:
    return {key: value for key, value in spec.items() if value not in ([], {}, "", None)}
