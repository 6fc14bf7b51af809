"""Pod Security's restricted profile, rule by rule.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes import SMALL, containers, objects, stack

from shipway.render.kubernetes import render

Pod = dict[str, Any]
VOLUMES = {
    *(
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ),
}
SYSCTLS = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ping_group_range"}


def every(rule: Callable[[dict[str, Any]], bool]) -> Callable[[Pod], bool]:
    return lambda pod: all(rule(container) for container in containers(pod))


def security(part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = part.get("securityContext", {})
    return found


def runs_as_non_root(pod: Pod) -> bool:
    """Every container says so, or none says otherwise and the pod does."""
    own = security(pod).get("runAsNonRoot")
    return all(security(c).get("runAsNonRoot", own) is True for c in containers(pod))


def is_no_root(part: dict[str, Any]) -> bool:
    return security(part).get("runAsUser", 1) != 0


def has_seccomp(pod: Pod) -> bool:
    own = security(pod).get("seccompProfile", {})
    kinds = [security(c).get("seccompProfile", own).get("type") for c in containers(pod)]
    return all(kind in ("RuntimeDefault", "Localhost") for kind in kinds)


def drops_all(container: dict[str, Any]) -> bool:
    held = security(container).get("capabilities", {})
    return "ALL" in held.get("drop", ()) and set(held.get("add", ())) <= {"NET_BIND_SERVICE"}


def has_no_host_probe(container: dict[str, Any]) -> bool:
    probes = [container.get(f"{kind}Probe", {}) for kind in ("startup", "liveness", "readiness")]
    actions = [*probes, *container.get("lifecycle", {}).values()]
    return not any(action.get(way, {}).get("host") for action in actions for way in ("httpGet", "tcpSocket"))


RULES: dict[str, Callable[[Pod], bool]] = {
    # Baseline
    "HostProcess": every(lambda c: not security(c).get("windowsOptions", {}).get("hostProcess")),
    "Host Namespaces": lambda pod: not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
    "Privileged Containers": every(lambda c: not security(c).get("privileged")),
    "HostPath Volumes": lambda pod: not any("hostPath" in volume for volume in pod.get("volumes", ())),
    "Host Ports": every(lambda c: not any(port.get("hostPort") for port in c.get("ports", ()))),
    "Host Probes / Lifecycle Hooks": every(has_no_host_probe),
    "AppArmor": lambda pod: (
        security(pod).get("appArmorProfile", {}).get("type", "RuntimeDefault") != "Unconfined"
    ),
    "SELinux": lambda pod: not security(pod).get("seLinuxOptions"),
    "/proc Mount Type": every(lambda c: security(c).get("procMount", "Default") == "Default"),
    "Sysctls": lambda pod: {s["name"] for s in security(pod).get("sysctls", ())} <= SYSCTLS,
    # Restricted
    "Volume Types": lambda pod: all((set(v) - {"name"}) <= VOLUMES for v in pod.get("volumes", ())),
    "Privilege Escalation": every(lambda c: security(c).get("allowPrivilegeEscalation") is False),
    "Running as Non-root": runs_as_non_root,
    "Running as Non-root user": lambda pod: is_no_root(pod) and every(is_no_root)(pod),
    "Seccomp": has_seccomp,
    "Capabilities": every(drops_all),
}
BROKEN: dict[str, Callable[[Pod], object]] = {
    "HostProcess": lambda p: first(p).update(windowsOptions={"hostProcess": True}),
    "Host Namespaces": lambda p: p.update(hostPID=True),
    "Privileged Containers": lambda p: first(p).update(privileged=True),
    "HostPath Volumes": lambda p: p["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    "Host Ports": lambda p: p["containers"][0].update(ports=[{"containerPort": 1, "hostPort": 1}]),
    "Host Probes / Lifecycle Hooks": lambda p: p["containers"][0]["livenessProbe"]["httpGet"].update(
        host="h"
    ),
    "AppArmor": lambda p: p["securityContext"].update(appArmorProfile={"type": "Unconfined"}),
    "SELinux": lambda p: p["securityContext"].update(seLinuxOptions={"type": "x"}),
    "/proc Mount Type": lambda p: first(p).update(procMount="Unmasked"),
    "Sysctls": lambda p: p["securityContext"].update(sysctls=[{"name": "kernel.x", "value": "1"}]),
    "Volume Types": lambda p: p["volumes"].append({"name": "x", "nfs": {}}),
    "Privilege Escalation": lambda p: first(p).pop("allowPrivilegeEscalation"),
    "Running as Non-root": lambda p: p["securityContext"].pop("runAsNonRoot"),
    "Running as Non-root user": lambda p: first(p).update(runAsUser=0),
    "Seccomp": lambda p: p["securityContext"].pop("seccompProfile"),
    "Capabilities": lambda p: first(p).pop("capabilities"),
}


def first(pod: Pod) -> dict[str, Any]:
    return security(pod["containers"][0])


def pods(directory: Path, *, plain: bool) -> list[Pod]:
    found = objects(render(stack(directory), plain=plain))
    return [one["spec"]["template"]["spec"] for one in found if one["kind"] == "Deployment"]


@pytest.mark.parametrize("plain", [False, True])
def test_every_pod_keeps_every_rule(tmp_path: Path, plain: bool) -> None:
    found = pods(tmp_path, plain=plain)
    assert len(found) == 4
    assert [
        (pod["serviceAccountName"], name) for pod in found for name, rule in RULES.items() if not rule(pod)
    ] == []


@pytest.mark.parametrize("name", RULES)
def test_each_rule_sees_what_breaks_it(tmp_path: Path, name: str) -> None:
    pod = copy.deepcopy(pods(tmp_path, plain=False)[0])
    BROKEN[name](pod)
    assert not RULES[name](pod)


@pytest.mark.parametrize("plain", [False, True])
def test_our_images_run_as_their_user_on_a_root_that_nobody_writes(tmp_path: Path, plain: bool) -> None:
    foreign = {"mcp-maps", "mcp-search"}
    for pod in pods(tmp_path, plain=plain):
        for one in containers(pod):
            ours = one["name"] not in foreign
            assert (security(one).get("runAsUser") == 65532) is ours, one["name"]
            assert (security(one).get("readOnlyRootFilesystem") is True) is ours, one["name"]
            assert ("/tmp" in [mount["mountPath"] for mount in one.get("volumeMounts", ())]) is ours


def test_nobody_has_a_token_of_the_cluster_or_names_of_services(tmp_path: Path) -> None:
    for pod in pods(tmp_path, plain=False):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False


def test_each_container_has_its_own_tmp(tmp_path: Path) -> None:
    (pod, *_) = pods(tmp_path, plain=False)
    found = [
        m["name"] for one in containers(pod) for m in one.get("volumeMounts", ()) if m["mountPath"] == "/tmp"
    ]
    assert len(found) == len(set(found)) == 3


def test_a_plain_agent_keeps_them_too(tmp_path: Path) -> None:
    found = [
        o["spec"]["template"]["spec"]
        for o in objects(render(stack(tmp_path, SMALL)))
        if o["kind"] == "Deployment"
    ]
    assert [pod["serviceAccountName"] for pod in found] == ["support", "support-control"]
    assert all(rule(pod) for rule in RULES.values() for pod in found)
