"""A stack on one machine: what the controller gets to know of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.plan.deployment import MADE, Container, Deployment, needed_secrets
from shipway.plan.placement import Placement, plan_deployment
from shipway.plan.rollout import plan_rollout
from shipway.plan.stack import plan_stack
from shipway.spec.load import load
from shipway_runtime import contract

SPEC = """\
name = "support"
entrypoint = "support:agent"
[secrets]
KEY = "env"
TOKEN = "file"
[mcp.git]
shape = "sidecar"
run = "pypi:mcp-server-git"
storage = true
secrets = ["TOKEN"]
[mcp.crm]
shape = "service"
run = "image:registry.example.com/crm:1"
[mcp.tools]
shape = "sidecar"
run = "project:support.tools"
[services.db]
image = "postgres:17"
env_url = "DATABASE_URL"
[storage]
path = "/data"
size = "1Gi"
[env.prod.api]
auth = "keys"
keys = "KEY"
"""
IMAGES = {
    "agent": "sha256:a",
    "mcp-tools": "sha256:a",
    "mcp-git": "sha256:g",
    "control": "sha256:c",
    "router": "sha256:r",
}
RELEASE = contract.Release(
    shipway="1",
    name="support",
    source=contract.Source(None, dirty=False),
    images={name: f"support@{image}" for name, image in IMAGES.items()},
    prompts=None,
    tools=None,
    id="0123456789ab",
)

Planned = Callable[..., Deployment]


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    def plan(text: str = SPEC, tls: bool = False) -> Deployment:
        (tmp_path / "agent.toml").write_text(text)
        loaded = load(tmp_path / "agent.toml", "prod")
        placement = Placement(IMAGES, api=80, control=8083, tls=tls)
        return plan_deployment(
            plan_stack(loaded, "prod"), RELEASE, plan_rollout(loaded.spec, "prod"), placement
        )

    return plan


def containers(deployment: Deployment) -> dict[str, Container]:
    return {one.name: one for one in deployment.revision.containers}


def test_it_is_the_same_after_it_was_written_and_read(planned: Planned) -> None:
    plan = planned()
    assert contract.decode(Deployment, contract.encode(plan), "deployment") == plan


def test_a_pod_comes_first_and_the_agent_last(planned: Planned) -> None:
    found = containers(planned())
    assert list(found) == ["pod", "mcp-crm", "mcp-git", "mcp-tools", "agent"]
    assert [one.joins for one in found.values()] == [None, None, "pod", "pod", "pod"]


def test_images_are_the_engines_own(planned: Planned) -> None:
    """A tag may be another image tomorrow. What somebody else built is called what agent.toml calls it."""
    found = {name: one.image for name, one in containers(planned()).items()}
    crm = "registry.example.com/crm:1"
    assert found == {
        "pod": "sha256:a",
        "agent": "sha256:a",
        "mcp-tools": "sha256:a",
        "mcp-git": "sha256:g",
        "mcp-crm": crm,
    }


def test_secrets_of_the_agent_are_files_and_of_other_programs_variables(planned: Planned) -> None:
    plan = planned()
    agent, git = containers(plan)["agent"], containers(plan)["mcp-git"]
    assert {agent.secrets[name] for name in ("KEY", "TOKEN", *MADE[1:])} == {"file"}
    assert agent.secrets["DATABASE_URL"] == "env"
    assert git.secrets == {"TOKEN": "env"}
    config = contract.decode(contract.Config, agent.env[contract.env.CONFIG_JSON], "config")
    assert {secret.source for secret in config.settings.secrets.values()} == {"file"}
    assert needed_secrets(plan)["TOKEN"] == ("mcp-git", "agent")


def test_the_revision_is_that_of_the_config_which_the_agent_reads(planned: Planned) -> None:
    plan = planned()
    agent = containers(plan)["agent"]
    assert plan.revision.id == contract.name_revision(RELEASE.id, agent.env[contract.env.CONFIG_JSON])
    assert agent.env[contract.env.REVISION] == plan.revision.id


def test_it_is_the_revision_that_other_targets_would_run(planned: Planned, tmp_path: Path) -> None:
    plan = planned()
    stack = plan_stack(load(tmp_path / "agent.toml", "prod"), "prod", RELEASE)
    assert plan.revision.id == stack.revision


def test_two_revisions_side_by_side_have_servers_of_their_own(planned: Planned) -> None:
    first = planned()
    second = planned(SPEC + "[config]\ngreeting = 'short'\n")
    aliases = [containers(plan)["mcp-crm"].aliases for plan in (first, second)]
    assert aliases[0] != aliases[1]
    for plan, (alias,) in zip((first, second), aliases, strict=True):
        assert alias in containers(plan)["agent"].env[contract.env.mcp_target("crm")]


def test_users_reach_the_router_and_only_this_machine_control(planned: Planned) -> None:
    plan = planned(tls=True)
    (front,), (behind,) = plan.router.published, plan.control.published
    assert (front.address, front.port, behind.address) == ("", 80, "127.0.0.1")
    assert plan.router.secrets
    assert not planned().router.secrets
    assert not any(one.published for one in plan.revision.containers)


def test_what_others_built_is_left_alone(planned: Planned) -> None:
    hardened = {name: one.hardened for name, one in containers(planned()).items()}
    assert [name for name, is_so in hardened.items() if not is_so] == ["mcp-crm"]
