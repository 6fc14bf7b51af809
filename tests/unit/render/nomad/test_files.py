"""Jobs of Nomad: each is put before the job specification's names, and what it means is looked at."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.nomad_schema import problems, read
from tests.stacks import desk

from shipway.plan.stack import StackPlan
from shipway.render.nomad.files import render
from shipway_runtime import contract

BROKER = 'client_id = "desk", client_secret = "CRM_SECRET"'
IDENTITY = 'client_id = "desk", identity_token = "/var/run/tokens/crm"'


@pytest.fixture
def plan(tmp_path: Path) -> StackPlan:
    return desk(tmp_path)


def group(plan: StackPlan, file: str = "agent.nomad.hcl") -> dict[str, Any]:
    (job,) = read(render(plan).owned[file])["job"]
    (body,) = job.values()
    (found,) = body["group"]
    return dict(next(iter(found.values())))


def tasks(plan: StackPlan, file: str = "agent.nomad.hcl") -> dict[str, dict[str, Any]]:
    return {name: task for one in group(plan, file)["task"] for name, task in one.items()}


def templates(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {template["destination"]: template for template in task.get("template", [])}


def test_the_specification_knows_every_name(plan: StackPlan) -> None:
    files = render(plan).owned
    assert list(files) == ["control.nomad.hcl", "mcp-crm.nomad.hcl", "agent.nomad.hcl"], "as they are run"
    assert [problem for text in files.values() for problem in problems(text)] == []


def test_the_judge_can_fail(plan: StackPlan) -> None:
    text = render(plan).owned["agent.nomad.hcl"]
    for right, wrong, message in (
        ("kill_timeout =", "kill_time =", "unknown"),
        ("readonly_rootfs =", "read_only =", "unknown"),
        ("  update {", "  updates {", "unknown"),
        ('kill_timeout = "75s"', 'kill_timeout = "75"', "another type"),
        ("auto_revert       = true", 'auto_revert       = "yes"', "another type"),
        ('group "agent" {', "group {", "needs a label"),
    ):
        assert right in text, right
        assert any(message in problem for problem in problems(text.replace(right, wrong))), right


def test_sidecars_start_before_the_agent_and_start_again(plan: StackPlan) -> None:
    found = tasks(plan)
    assert list(found) == ["mcp-git", "mcp-search", "agent"]
    for name in ("mcp-git", "mcp-search"):
        assert found[name]["lifecycle"] == [{"hook": "prestart", "sidecar": True}]
        assert found[name]["restart"][0]["mode"] == "delay", "else its failure is that of the agent"
    assert "lifecycle" not in found["agent"]


def test_what_others_built_is_left_alone(plan: StackPlan) -> None:
    found = tasks(plan)
    assert found["mcp-search"]["config"] == [{"image": "registry.example.com/search:1"}]
    assert "user" not in found["mcp-search"]
    (config,) = found["mcp-git"]["config"]
    assert (config["readonly_rootfs"], config["cap_drop"]) == (True, ["all"])
    assert config["security_opt"] == ["no-new-privileges"]
    assert found["mcp-git"]["user"] == "65532:65532"


def test_secrets_come_from_the_variable_that_agent_toml_names_or_the_jobs_own(plan: StackPlan) -> None:
    found = templates(tasks(plan)["agent"])
    assert 'nomadVar "nomad/jobs"' in found["secrets/0.env"]["data"]
    assert "ANTHROPIC_API_KEY={{ .ANTHROPIC_API_KEY.Value | toJSON }}" in found["secrets/0.env"]["data"]
    own = found["secrets/1.env"]
    assert 'nomadVar "nomad/jobs/desk"' in own["data"]
    assert "DATABASE_URL=" in own["data"]
    assert "REDIS_URL=" in own["data"], "the URL of a service is given like a secret"
    assert "CRM_SECRET" not in own["data"]
    assert (own["env"], own["perms"], own["uid"]) == (True, "0400", contract.UID)


def test_a_secret_in_a_file_rotates_without_a_restart(plan: StackPlan) -> None:
    for name in ("agent", "mcp-git"):
        task = tasks(plan)[name]
        assert templates(task)["secrets/files/GITHUB_TOKEN"]["change_mode"] == "noop"
        assert "secrets/files:/run/secrets:ro" in task["config"][0]["volumes"]


def test_config_is_text_and_policy_is_a_variable_that_may_change(plan: StackPlan) -> None:
    found = templates(tasks(plan)["agent"])
    config = found["local/etc/config.json"]
    assert contract.decode(contract.Config, config["data"], "config") == plan.config
    assert config["left_delimiter"] not in ("", "{{"), "{{ in it is not for Nomad"
    policy = found["local/etc/policy.json"]
    assert policy["change_mode"] == "noop"
    before, _, rest = policy["data"].partition("{{ else }}")
    assert before.startswith('{{ if nomadVarExists "nomad/jobs/desk/agent" }}')
    declared = contract.decode(contract.Policy, rest.partition("{{ end }}")[0], "policy")
    assert declared.limits.requests == (60, 60)


def test_text_without_braces_needs_no_delimiters(tmp_path: Path) -> None:
    plain = desk(tmp_path, ('"{{ hi }} ${x} %{y}"', '"hi"'))
    assert "left_delimiter" not in templates(tasks(plain)["agent"])["local/etc/config.json"]


def test_a_server_apart_is_found_by_discovery(plan: StackPlan) -> None:
    (service,) = tasks(plan, "mcp-crm.nomad.hcl")["mcp-crm"]["service"]
    template = templates(tasks(plan)["agent"])["local/mcp-crm.env"]
    assert f'nomadService 1 (env "NOMAD_ALLOC_ID") "{service["name"]}"' in template["data"]
    assert "SHIPWAY_MCP_CRM_TARGET=http://{{ .Address }}:{{ .Port }}/mcp" in template["data"]
    assert (template["env"], template["splay"]) == (True, "30s"), "replicas are not restarted all at once"


def test_two_checks_that_differ(plan: StackPlan) -> None:
    (service,) = tasks(plan)["agent"]["service"]
    ready, alive = service["check"]
    assert (ready["path"], "check_restart" in ready) == ("/readyz", False)
    assert (alive["path"], alive["check_restart"][0]["limit"]) == ("/healthz", 3)


@pytest.mark.parametrize(("grace", "seconds"), [("60s", "75s"), ("5m", "315s"), ("0.5s", "16s")])
def test_the_time_to_stop_follows_the_drain_budget(tmp_path: Path, grace: str, seconds: str) -> None:
    plan = desk(tmp_path, ("[policy]", f'[health]\ngrace = "{grace}"\n[policy]'))
    assert tasks(plan)["agent"]["kill_timeout"] == seconds


def test_a_new_one_comes_first_unless_they_would_share_a_volume(plan: StackPlan) -> None:
    (shared,) = group(plan)["update"]
    assert (shared["canary"], shared["auto_promote"], shared["auto_revert"]) == (0, False, True)
    (alone,) = group(dataclasses.replace(plan, storage=None))["update"]
    assert (alone["canary"], alone["auto_promote"], alone["auto_revert"]) == (1, True, True)


def test_replicas_are_spread(plan: StackPlan) -> None:
    three = dataclasses.replace(plan, agent=dataclasses.replace(plan.agent, replicas=3))
    assert (group(three)["count"], group(three)["spread"]) == (3, [{"attribute": "${node.unique.id}"}])
    assert "spread" not in group(plan)


def test_resources_are_rounded_up_and_memory_is_always_said(plan: StackPlan) -> None:
    found = {name: task["resources"][0] for name, task in tasks(plan).items()}
    assert found == {
        "agent": {"cpu": 200, "memory": 512},
        "mcp-git": {"cpu": 100, "memory": 100},
        "mcp-search": {"cpu": 100, "memory": 128},
    }


def test_the_platforms_token_is_where_the_config_says(tmp_path: Path) -> None:
    task = tasks(desk(tmp_path, (BROKER, IDENTITY)))["agent"]
    (identity,) = task["identity"]
    assert identity["aud"] == ["https://login.example.com/token"]
    text = templates(task)["local/etc/config.json"]["data"]
    config = contract.decode(contract.Config, text, "config")
    broker = config.settings.secrets["CRM"].broker
    assert broker
    assert broker.identity_token == f"/{identity['filepath']}"


def test_variables_of_sdks_name_files_that_are_there(tmp_path: Path) -> None:
    more = 'ANTHROPIC_IDENTITY_TOKEN_FILE = "env"\nGOOGLE_APPLICATION_CREDENTIALS = "env"\n'
    task = tasks(desk(tmp_path, ("[secrets]\n", f"[secrets]\n{more}")))["agent"]
    (identity,) = task["identity"]
    (variables,) = task["env"]
    assert variables["ANTHROPIC_IDENTITY_TOKEN_FILE"] == f"/{identity['filepath']}"
    assert (identity["aud"], identity["ttl"]) == (["https://api.anthropic.com"], "600s")
    found = templates(task)
    assert "secrets/files/GOOGLE_APPLICATION_CREDENTIALS" in found
    assert variables["GOOGLE_APPLICATION_CREDENTIALS"] == "/run/secrets/GOOGLE_APPLICATION_CREDENTIALS"
    assert not any(
        "IDENTITY_TOKEN_FILE" in template["data"] for path, template in found.items() if "secrets" in path
    )


def test_the_head_says_what_has_to_be_there(plan: StackPlan) -> None:
    head = render(plan).owned["agent.nomad.hcl"].partition("job ")[0]
    assert (
        "# nomad var put nomad/jobs/desk GITHUB_TOKEN=… DATABASE_URL=… CRM_SECRET=… SHIPWAY_CONTROL_" in head
    )
    assert "host volume desk-data" in head
