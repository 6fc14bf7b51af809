from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from shipway.plan.image import plan_images
from shipway.plan.stack import Sidecar, StackPlan, Stored, plan_stack
from shipway.spec.load import load
from shipway.spec.lock import read_lock
from shipway.spec.project import read_project
from shipway_runtime import contract

AGENT = """
name = "support"
entrypoint = "agent:agent"
[secrets]
KEY = "env"
[mcp.one]
shape = "sidecar"
run = "pypi:server-one"
[mcp.two]
shape = "service"
run = "pypi:server-two"
[mcp.three]
shape = "sidecar"
run = "project:three"
[mcp.maps]
shape = "sidecar"
run = "image:registry.example.com/maps:4"
url = "http://localhost:9000/"
[mcp.search]
shape = "service"
run = "image:registry.example.com/search:2"
[env.prod.secrets]
KEY = { kubernetes = "support/key", nomad = "nomad/jobs/support" }
[env.prod.kubernetes]
namespace = "agents"
[env.prod.health]
grace = "5m"
"""
RELEASE = contract.Release(
    shipway="1",
    name="support",
    source=contract.Source(None, False),
    images={name: f"r/{name}@sha256:{name}" for name in ("agent", "mcp-one", "mcp-two", "mcp-three")},
    prompts=None,
    tools=None,
    id="0123456789ab",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "agent.toml").write_text(AGENT)
    for name in ("agent", "three"):
        (tmp_path / f"{name}.py").write_text("async def agent(messages): return 'hi'\n")
    return tmp_path


def stack(directory: Path, environment: str = "prod") -> StackPlan:
    return plan_stack(load(directory / "agent.toml", environment), environment)


def server(plan: StackPlan, name: str) -> Sidecar:
    return next(server for server in (*plan.sidecars, *plan.apart) if server.name == name)


def test_servers_are_beside_the_agent_or_apart_from_it(directory: Path) -> None:
    plan = stack(directory)
    assert [(s.name, s.port, s.path) for s in plan.sidecars] == [
        ("one", 8100, "/mcp"),
        ("three", 8101, "/mcp"),
        ("maps", 9000, "/"),
    ]
    assert [(s.name, s.port, s.path) for s in plan.apart] == [("two", 8100, "/mcp"), ("search", 8100, "/mcp")]


def test_the_relay_looks_where_they_are(directory: Path) -> None:
    urls = {server.name: server.url for server in stack(directory).agent.mcp}
    assert urls == {
        "one": "http://127.0.0.1:8100/mcp",
        "two": "http://support-mcp-two:8100/mcp",
        "three": "http://127.0.0.1:8101/mcp",
        "maps": "http://127.0.0.1:9000/",
        "search": "http://support-mcp-search:8100/mcp",
    }


def test_what_a_container_starts_with(directory: Path) -> None:
    plan = stack(directory)
    assert server(plan, "one").command == ()
    assert server(plan, "two").command[:6] == (
        *("-m", "shipway_runtime.relay", "two", "--port", "8100", "--host"),
    )
    assert server(plan, "three").command[-3:] == ("/app/.venv/bin/python", "-m", "three")
    assert (server(plan, "three").image, server(plan, "two").image) == ("support", "support-mcp-two")
    for name, image in (("maps", "registry.example.com/maps:4"), ("search", "registry.example.com/search:2")):
        assert (server(plan, name).program, server(plan, name).image) == (None, image)
        assert server(plan, name).env == {"PORT": str(server(plan, name).port)}


def test_a_module_of_the_project_is_found_in_a_container_of_its_own(directory: Path) -> None:
    plan = plan_stack(load(directory / "agent.toml"))
    found = {server.name: server.env for server in (*plan.sidecars, *plan.apart)}
    assert found["three"] == {"PYTHONPATH": contract.SOURCE}
    assert found["one"] == {}


def test_servers_apart_have_images_too(directory: Path) -> None:
    loaded = load(directory / "agent.toml")
    roles = {plan.role: plan.also for plan in plan_images(loaded, read_project(loaded), read_lock(directory))}
    assert roles == {"agent": ("mcp-three",), "mcp-one": (), "mcp-two": ()}


def test_where_secrets_are_stored(directory: Path) -> None:
    assert stack(directory).stores == {"KEY": Stored("support/key", None, "nomad/jobs/support")}
    assert stack(directory).namespace == "agents"
    development = stack(directory, "development")
    assert (development.stores, development.namespace) == ({}, None)


def test_a_release_names_images_by_digest_and_makes_a_revision(directory: Path) -> None:
    plan = plan_stack(load(directory / "agent.toml", "prod"), "prod", RELEASE)
    assert plan.agent.image == "r/agent@sha256:agent"
    assert server(plan, "three").image == "r/mcp-three@sha256:mcp-three"
    assert server(plan, "maps").image == "registry.example.com/maps:4"
    assert plan.revision
    assert plan.revision.startswith("0123456789ab-")
    assert plan.agent.env[contract.env.REVISION] == plan.revision


def test_a_revision_changes_with_the_config_and_not_with_its_place(directory: Path) -> None:
    def revision(text: str) -> str | None:
        (directory / "agent.toml").write_text(text)
        return plan_stack(load(directory / "agent.toml", "prod"), "prod", RELEASE).revision

    assert revision(AGENT) == revision("\n\n" + AGENT)
    assert revision(AGENT) != revision(AGENT.replace("5m", "6m"))


def test_a_release_without_an_image_is_not_that_stack(directory: Path) -> None:
    other = dataclasses.replace(RELEASE, images={"agent": "r/agent@sha256:agent"})
    with pytest.raises(KeyError):
        plan_stack(load(directory / "agent.toml", "prod"), "prod", other)
