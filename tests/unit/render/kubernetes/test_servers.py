from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.kubernetes import SMALL, container, find, pod, stack

from shipway.render.kubernetes import render


def probes(part: dict[str, object]) -> set[str]:
    return {key.removesuffix("Probe") for key in part if key.endswith("Probe")}


def test_native_sidecars_start_before_the_agent(tmp_path: Path) -> None:
    spec = pod(render(stack(tmp_path)))
    assert [(one["name"], one["restartPolicy"]) for one in spec["initContainers"]] == [
        ("mcp-git", "Always"),
        ("mcp-web", "Always"),
        ("mcp-maps", "Always"),
    ]
    assert [one["name"] for one in spec["containers"]] == ["agent"]


def test_plain_ones_stand_behind_it(tmp_path: Path) -> None:
    spec = pod(render(stack(tmp_path), plain=True))
    assert "initContainers" not in spec
    assert [one["name"] for one in spec["containers"]] == ["agent", "mcp-git", "mcp-web", "mcp-maps"]
    assert not any("restartPolicy" in one for one in spec["containers"])


@pytest.mark.parametrize("plain", [False, True])
def test_an_optional_sidecar_holds_no_pod_back(tmp_path: Path, plain: bool) -> None:
    rendered = render(stack(tmp_path), plain=plain)
    assert probes(container(rendered, "mcp-git")) == {"startup", "liveness", "readiness"}
    assert probes(container(rendered, "mcp-web")) == {"liveness"}
    assert probes(container(rendered, "mcp-maps")) == set()


def test_sidecars_are_asked_from_inside_because_they_listen_on_loopback(tmp_path: Path) -> None:
    git = container(render(stack(tmp_path)), "mcp-git")
    for kind in ("startup", "liveness", "readiness"):
        assert set(git[f"{kind}Probe"]) & {"httpGet", "tcpSocket", "exec"} == {"exec"}
    assert "/healthz" in git["livenessProbe"]["exec"]["command"][-1]
    assert "/readyz" in git["readinessProbe"]["exec"]["command"][-1]


@pytest.mark.slow
def test_plain_sidecars_end_after_the_agent(tmp_path: Path) -> None:
    rendered = render(stack(tmp_path), plain=True)
    assert "lifecycle" not in container(render(stack(tmp_path)), "mcp-git")
    assert "lifecycle" not in container(rendered, "mcp-maps")
    command = container(rendered, "mcp-git")["lifecycle"]["preStop"]["exec"]["command"]
    with socket.create_server(("127.0.0.1", 0)) as agent:
        words = [sys.executable, *command[1:-1], command[-1].replace("8081", str(agent.getsockname()[1]))]
        waiting = subprocess.Popen(words)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1.5)
    assert waiting.wait(20) == 0


def test_probes_of_the_agent_differ(tmp_path: Path) -> None:
    agent = container(render(stack(tmp_path)), "agent")
    seen = {
        kind: (
            agent[f"{kind}Probe"]["httpGet"],
            agent[f"{kind}Probe"]["periodSeconds"] * agent[f"{kind}Probe"]["failureThreshold"],
        )
        for kind in ("startup", "liveness", "readiness")
    }
    assert seen == {
        "startup": ({"path": "/healthz", "port": "admin"}, 300),
        "liveness": ({"path": "/healthz", "port": "admin"}, 30),
        "readiness": ({"path": "/readyz", "port": "admin"}, 6),
    }


def test_memory_is_a_limit_and_cpu_is_none(tmp_path: Path) -> None:
    rendered = render(stack(tmp_path))
    memory = {"memory": "512Mi"}
    assert container(rendered, "agent")["resources"] == {
        "requests": {"cpu": "100m"} | memory,
        "limits": memory,
    }
    assert container(rendered, "mcp-web")["resources"] == {"requests": {"memory": "64Mi"}}


def test_a_server_apart_is_found_by_the_name_in_the_agents_manifest(tmp_path: Path) -> None:
    plan = stack(tmp_path)
    rendered = render(plan)
    urls = {server.name: server.url for server in plan.agent.mcp}
    for name, path in (("crm", "/mcp"), ("search", "/mcp")):
        service = find(rendered, "Service", f"support-mcp-{name}")
        (port,) = service["spec"]["ports"]
        assert urls[name] == f"http://{service['metadata']['name']}:{port['port']}{path}"
        labels = find(rendered, "Deployment", f"support-mcp-{name}")["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()


def test_storage_is_seen_by_those_who_ask_for_it(tmp_path: Path) -> None:
    rendered = render(stack(tmp_path))
    for name, sees in (("agent", True), ("mcp-git", True), ("mcp-web", False)):
        mounts = [mount["mountPath"] for mount in container(rendered, name)["volumeMounts"]]
        assert ("/data" in mounts) is sees


def test_a_sidecar_alone_changes_nothing_of_a_small_agent(tmp_path: Path) -> None:
    assert "initContainers" not in pod(render(stack(tmp_path, SMALL)))
