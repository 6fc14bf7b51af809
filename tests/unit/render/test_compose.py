from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shipway.plan.stack import plan_stack, released
from shipway.render.compose import render
from shipway.render.emit import Rendered
from shipway.spec.load import load
from shipway_runtime import contract

AGENT = """\
name = "a"
entrypoint = "agent:agent"
[model]
provider = "anthropic"
name = "m"
[secrets]
ANTHROPIC_API_KEY = "env"
CRM_KEY = "file"
[api]
auth = "none"
[mcp.git]
shape = "sidecar"
run = "pypi:mcp-server-git"
env = { PROMPT = "costs $5" }
args = ["$HOME"]
secrets = ["CRM_KEY"]
[mcp.search]
shape = "service"
run = "image:example.com/search:1"
[services.db]
image = "postgres:17"
env_url = "DATABASE_URL"
[config]
tone = "short"
[env.prod.config]
tone = "long"
"""
SOURCE = contract.Source(None, False)
IMAGES = {"agent": "r/a@sha256:1", "mcp-git": "r/g@sha256:2"}
RELEASE = contract.Release("1", "a", SOURCE, IMAGES, None, None, "0123456789ab")


def written(directory: Path, environment: str, text: str = AGENT) -> Rendered:
    (directory / "agent.toml").write_text(text)
    plan = plan_stack(load(directory / "agent.toml", environment), environment)
    return render(plan if environment == "development" else released(plan, RELEASE))


def services(files: Rendered) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(files.owned["compose.yaml"])["services"]
    return found


def test_in_development_nothing_has_to_be_given_and_nothing_is_pulled(tmp_path: Path) -> None:
    found = services(written(tmp_path, "development"))
    assert found["agent"]["environment"]["ANTHROPIC_API_KEY"] == "replayed"
    assert found["agent"]["environment"]["DATABASE_URL"].startswith("postgresql://")
    ours = {"pod", "agent", "mcp-git", "replay"}
    assert {name for name, service in found.items() if service.get("pull_policy") == "never"} == ours
    assert all(port.startswith("127.0.0.1:") for port in found["pod"]["ports"])
    assert "api.anthropic.com:127.0.0.1" in found["pod"]["extra_hosts"]


def test_elsewhere_what_is_missing_keeps_compose_from_starting(tmp_path: Path) -> None:
    files = written(tmp_path, "prod")
    found = services(files)
    given = found["agent"]["environment"]
    assert given["ANTHROPIC_API_KEY"] == "${ANTHROPIC_API_KEY:?write ANTHROPIC_API_KEY into .env}"
    assert given["DATABASE_URL"] == "${DATABASE_URL:?write DATABASE_URL into .env}"
    assert found["mcp-git"]["environment"]["CRM_KEY"] == "${CRM_KEY:?write CRM_KEY into .env}"
    assert given["SHIPWAY_ADMIN_TOKEN"] is None  # may be missing: the process makes one
    assert set(found) == {"pod", "agent", "mcp-git", "a-mcp-search", "control"}
    assert found["pod"]["ports"] == ["${API_PORT:-8080}:8080", "127.0.0.1:${ADMIN_PORT:-8081}:8081"]
    assert "extra_hosts" not in found["pod"]
    asked = ["ANTHROPIC_API_KEY=", "DATABASE_URL=", "CRM_KEY=", "SHIPWAY_ADMIN_TOKEN="]
    asked += ["CONTROL_REPORT_TOKEN=", "CONTROL_OPERATE_TOKEN="]
    assert files.once[".env"].splitlines()[-6:] == asked
    assert "COMPOSE_PROJECT_NAME=a-prod\n" in files.once[".env"]


def test_what_the_agent_needs_is_stopped_after_it(tmp_path: Path) -> None:
    agent = services(written(tmp_path, "development"))["agent"]
    assert agent["depends_on"] == ["mcp-git", "replay", "a-mcp-search", "db"]


def test_files_are_mounted_as_a_directory_that_is_there_and_in_no_repository(tmp_path: Path) -> None:
    files = written(tmp_path, "prod")
    assert "./secrets:/run/secrets:ro" in services(files)["agent"]["volumes"]
    assert "CRM_KEY" not in services(files)["agent"]["environment"]
    assert set(files.once) == {"etc/policy.json", ".env", ".gitignore", "secrets/.gitignore"}


def test_the_url_of_a_database_that_comes_up_is_written_where_the_agent_reads_it(tmp_path: Path) -> None:
    spec = AGENT.replace('CRM_KEY = "file"', 'CRM_KEY = "file"\nDATABASE_URL = "file"')
    files = written(tmp_path, "development", spec)
    assert files.once["secrets/DATABASE_URL"] == "postgresql://postgres:development@db/postgres"
    assert "DATABASE_URL" not in services(files)["agent"]["environment"]
    assert "secrets/DATABASE_URL" not in written(tmp_path, "prod", spec).once


def test_a_dollar_of_agent_toml_stays_one(tmp_path: Path) -> None:
    spec = AGENT.replace("pypi:mcp-server-git", "project:git")
    git = services(written(tmp_path, "development", spec))["mcp-git"]
    assert git["environment"]["PROMPT"] == "costs $$5"
    assert git["entrypoint"][-1] == "$$HOME"


def test_another_config_is_another_container(tmp_path: Path) -> None:
    labels = [
        services(written(tmp_path, "development", text))["agent"]["labels"]
        for text in (AGENT, AGENT.replace('"short"', '"shorter"'))
    ]
    assert labels[0] != labels[1]


def test_others_images_are_left_as_they_were_built(tmp_path: Path) -> None:
    search = services(written(tmp_path, "prod"))["a-mcp-search"]
    assert {"user", "read_only", "healthcheck"}.isdisjoint(search)
    assert search["restart"] == "unless-stopped"


@pytest.mark.parametrize(("memory", "limit"), [("512Mi", "512m"), ("1000Ki", "1024000")])
def test_memory_is_a_limit_and_swap_adds_nothing(tmp_path: Path, memory: str, limit: str) -> None:
    agent = services(written(tmp_path, "prod", f'{AGENT}[resources]\nmemory = "{memory}"\n'))["agent"]
    assert (agent["mem_limit"], agent["memswap_limit"]) == (limit, limit)


def test_a_request_of_cpu_does_not_put_the_agent_below_its_sidecars(tmp_path: Path) -> None:
    agent = services(written(tmp_path, "prod", f'{AGENT}[resources]\ncpu = "100m"\n'))["agent"]
    assert not [key for key in agent if "cpu" in key]
