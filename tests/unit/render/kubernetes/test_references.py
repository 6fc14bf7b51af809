"""What Kubernetes' server refuses and no schema does: names that lead nowhere, or are there twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes import LARGE, SMALL, containers, objects, stack

from shipway.render.kubernetes import render

Objects = list[dict[str, Any]]


@pytest.fixture(params=[(SMALL, False), (SMALL + "[storage]\n", False), (LARGE, False), (LARGE, True)])
def rendered(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    text, plain = request.param
    return objects(render(stack(tmp_path, text), plain=plain))


def pods(rendered: Objects) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each pod's labels and spec."""
    found = [one["spec"]["template"] for one in rendered if one["kind"] == "Deployment"]
    return [(one["metadata"]["labels"], one["spec"]) for one in found]


def named(rendered: Objects, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in rendered if one["kind"] == kind}


def twice(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def test_every_mount_has_a_volume_and_every_volume_a_mount(rendered: Objects) -> None:
    for _, pod in pods(rendered):
        volumes = [volume["name"] for volume in pod.get("volumes", ())]
        mounted = {mount["name"] for one in containers(pod) for mount in one.get("volumeMounts", ())}
        assert not twice(volumes)
        assert set(volumes) == mounted


def test_nothing_is_there_twice(rendered: Objects) -> None:
    assert not twice([f"{one['kind']} {one['metadata']['name']}" for one in rendered])
    for _, pod in pods(rendered):
        assert not twice([one["name"] for one in containers(pod)])
        for one in containers(pod):
            assert not twice([mount["mountPath"] for mount in one.get("volumeMounts", ())])
            assert not twice([variable["name"] for variable in one.get("env", ())])
        for volume in pod.get("volumes", ()):
            sources = volume.get("projected", {}).get("sources", ())
            assert not twice([path for source in sources for path in paths(source)])


def paths(source: dict[str, Any]) -> list[str]:
    (found,) = source.values()
    return [item["path"] for item in found["items"]] if "items" in found else [found["path"]]


def test_what_a_pod_names_is_there(rendered: Objects) -> None:
    for _, pod in pods(rendered):
        assert pod["serviceAccountName"] in named(rendered, "ServiceAccount")
        claims = {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod.get("volumes", ())
            if "persistentVolumeClaim" in volume
        }
        assert claims <= named(rendered, "PersistentVolumeClaim")


def test_probes_and_services_name_ports_that_are_there(rendered: Objects) -> None:
    for labels, pod in pods(rendered):
        ports = {port["name"] for one in containers(pod) for port in one.get("ports", ())}
        asked = {
            one[f"{kind}Probe"][way]["port"]
            for one in containers(pod)
            for kind in ("startup", "liveness", "readiness")
            for way in ("httpGet", "tcpSocket")
            if way in one.get(f"{kind}Probe", {})
        }
        services = [one["spec"] for one in rendered if one["kind"] == "Service"]
        (service,) = [spec for spec in services if spec["selector"].items() <= labels.items()]
        assert asked | {port["targetPort"] for port in service["ports"]} <= ports


def test_each_policy_and_budget_is_about_a_pod(rendered: Objects) -> None:
    kinds = {"NetworkPolicy": "podSelector", "PodDisruptionBudget": "selector", "PodMonitor": "selector"}
    chosen = [one["spec"][kinds[one["kind"]]]["matchLabels"] for one in rendered if one["kind"] in kinds]
    assert len(chosen) >= 3
    for selector in chosen:
        assert any(selector.items() <= labels.items() for labels, _ in pods(rendered))


def test_a_pause_fits_into_the_grace(rendered: Objects) -> None:
    for _, pod in pods(rendered):
        for one in containers(pod):
            sleep = one.get("lifecycle", {}).get("preStop", {}).get("sleep", {"seconds": 0})
            assert sleep["seconds"] < pod["terminationGracePeriodSeconds"]
