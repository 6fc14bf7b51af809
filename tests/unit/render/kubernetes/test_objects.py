from __future__ import annotations

import json
import re
from pathlib import Path

import kubernetes_validate
import pytest
from tests.kubernetes import LARGE, SMALL, find, objects, pod, stack

from shipway.render.kubernetes import render
from shipway_runtime import contract

VERSIONS = ("1.30", "1.37")
STORED = SMALL + "[storage]\n"


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("plain", [False, True])
def test_every_object_is_what_kubernetes_knows(tmp_path: Path, version: str, plain: bool) -> None:
    for text in (SMALL, STORED, LARGE):
        for one in objects(render(stack(tmp_path, text), plain=plain)):
            if "monitoring.coreos.com" not in one["apiVersion"]:
                kubernetes_validate.validate(one, version, strict=True)


def test_a_mistake_is_seen_by_that_judge(tmp_path: Path) -> None:
    one = find(render(stack(tmp_path)), "Deployment")
    one["spec"]["template"]["spec"]["containers"][0]["imagePulPolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePulPolicy"):
        kubernetes_validate.validate(one, VERSIONS[-1], strict=True)


def test_old_clusters_get_what_they_know(tmp_path: Path) -> None:
    for one in objects(render(stack(tmp_path), plain=True)):
        if one["kind"] in ("Deployment", "Service"):
            kubernetes_validate.validate(one, "1.27", strict=True)


def test_a_volume_is_let_go_of_before_the_next_pod_takes_it(tmp_path: Path) -> None:
    rendered = render(stack(tmp_path, STORED))
    assert find(rendered, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert find(rendered, "PersistentVolumeClaim", "support-data")["spec"]["resources"] == {
        "requests": {"storage": "1Gi"}
    }


def test_without_one_nobody_is_without_an_agent(tmp_path: Path) -> None:
    strategy = find(render(stack(tmp_path, SMALL)), "Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_replicas_are_spread_and_go_one_at_a_time(tmp_path: Path) -> None:
    rendered = render(stack(tmp_path))
    assert find(rendered, "Deployment")["spec"]["replicas"] == 3
    assert find(rendered, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    keys = [one["topologyKey"] for one in pod(rendered)["topologySpreadConstraints"]]
    assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    (data,) = [volume for volume in pod(rendered)["volumes"] if volume["name"] == "data"]
    assert data["ephemeral"]["volumeClaimTemplate"]["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    assert not [one for one in objects(rendered) if one["kind"] == "PersistentVolumeClaim"]


def test_one_alone_keeps_no_node_from_being_drained(tmp_path: Path) -> None:
    rendered = render(stack(tmp_path, SMALL))
    assert not [one for one in objects(rendered) if one["kind"] == "PodDisruptionBudget"]
    assert "topologySpreadConstraints" not in pod(rendered)


def test_config_and_policy_land_where_the_runtime_looks(tmp_path: Path) -> None:
    plan = stack(tmp_path)
    rendered = render(plan)
    (etc,) = [volume["projected"] for volume in pod(rendered)["volumes"] if volume["name"] == "etc"]
    config, policy = (source["configMap"] for source in etc["sources"])
    places = {f"/etc/shipway/{item['path']}" for one in (config, policy) for item in one["items"]}
    assert places == {contract.CONFIG, contract.POLICY}
    held = find(rendered, "ConfigMap", config["name"])["data"]["config.json"]
    assert contract.decode(contract.Config, held, "config.json") == plan.config
    contract.decode(contract.Policy, rendered.once["policy.json"], "policy.json")
    assert f"- name: {policy['name']}\n" in rendered.once["kustomization.yaml"]


def test_another_config_has_another_name_and_a_moved_line_has_not(tmp_path: Path) -> None:
    def name(text: str) -> str:
        (found,) = [o for o in objects(render(stack(tmp_path, text))) if o["kind"] == "ConfigMap"]
        return str(found["metadata"]["name"])

    assert name(SMALL) == name("# a comment\n" + SMALL)
    assert name(SMALL) != name(SMALL + '[health]\ngrace = "30s"\n')


def test_selectors_hold_nothing_that_changes(tmp_path: Path) -> None:
    for one in objects(render(stack(tmp_path))):
        if one["kind"] == "Deployment":
            chosen = one["spec"]["selector"]["matchLabels"]
            assert "app.kubernetes.io/version" not in chosen
            assert chosen.items() <= one["spec"]["template"]["metadata"]["labels"].items()


def test_labels_are_values_that_kubernetes_takes(tmp_path: Path) -> None:
    for one in objects(render(stack(tmp_path))):
        for value in one["metadata"]["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value)


def test_rollout_history_names_revisions(tmp_path: Path) -> None:
    plan = stack(tmp_path)
    annotations = find(render(plan), "Deployment")["metadata"]["annotations"]
    assert annotations == {"kubernetes.io/change-cause": f"revision {plan.revision}"}
    assert "annotations" not in find(render(plan), "Service")["metadata"]


def test_the_admin_port_is_on_no_service(tmp_path: Path) -> None:
    ports = find(render(stack(tmp_path)), "Service")["spec"]["ports"]
    assert [(port["port"], port["targetPort"]) for port in ports] == [(80, "api")]


def test_what_comes_in_is_the_api_and_prometheus(tmp_path: Path) -> None:
    spec = find(render(stack(tmp_path)), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    api, admin = spec["ingress"]
    assert (api["ports"][0]["port"], "from" in api) == (8080, False)
    assert (admin["ports"][0]["port"], "from" in admin) == (8081, True)


def test_a_server_apart_hears_the_agent_alone(tmp_path: Path) -> None:
    (rule,) = find(render(stack(tmp_path)), "NetworkPolicy", "support-mcp-crm")["spec"]["ingress"]
    agent = find(render(stack(tmp_path)), "Deployment")["spec"]["selector"]["matchLabels"]
    assert rule["from"][0] == {"podSelector": {"matchLabels": agent}}


def test_what_goes_out_is_what_agent_toml_names(tmp_path: Path) -> None:
    dns, world, *own = find(render(stack(tmp_path)), "NetworkPolicy", "support-egress")["spec"]["egress"]
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    assert [port["port"] for port in world["ports"]] == [443, 5432, 6379, 8443, 9443]
    assert [rule["ports"][0]["port"] for rule in own] == [8100, 9000, 8083]
    assert world["to"][0]["ipBlock"]["except"] == ["169.254.169.254/32"]


def test_without_a_namespace_that_of_the_context_holds(tmp_path: Path) -> None:
    rendered = render(
        stack(tmp_path, SMALL.replace('[env.prod.kubernetes]\nnamespace = "agents"', "[env.prod.config]"))
    )
    assert not any("namespace" in one["metadata"] for one in objects(rendered))
    assert "namespace:" not in rendered.once["kustomization.yaml"]


def test_the_dashboard_is_json(tmp_path: Path) -> None:
    assert (
        json.loads(render(stack(tmp_path)).owned["base/monitoring/dashboard.json"])["title"]
        == "support (prod)"
    )
