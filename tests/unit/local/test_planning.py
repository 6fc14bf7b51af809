from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import StackError
from shipway.local.plan import Installed, LocalPlan, Machine, Model, Process
from shipway.local.planning import plan_local
from shipway.local.ports import Ports
from shipway.plan.stack import StackPlan, plan_stack
from shipway.spec.load import load
from shipway_runtime import contract

ROOT = "/home/me/support"
SUPPORT = """
name = "support"
entrypoint = "support:agent"
prompts = "prompts"
[model]
provider = "anthropic"
name = "claude"
[secrets]
ANTHROPIC_API_KEY = "env"
GITHUB_TOKEN = "file"
[mcp.time]
shape = "inside"
run = "pypi:mcp-server-time==1"
[mcp.own]
shape = "inside"
run = "project:support.tools"
args = ["--cache=/data/cache", "--database", "/database"]
[mcp.git]
shape = "sidecar"
run = "pypi:mcp-server-git"
args = ["--repository", "/data/repo"]
storage = true
secrets = ["GITHUB_TOKEN"]
env = { HOME_OF_GIT = "/data" }
[storage]
path = "/data"
"""
DATABASE = """
name = "stored"
entrypoint = "stored:agent"
[services.db]
image = "postgres:17"
env_url = "DATABASE_URL"
[services.cache]
image = "redis:7"
env_url = "CACHE_URL"
"""
POSTGRES = Installed("/usr/lib/postgresql/15/bin/postgres", "PostgreSQL 15.1", "/data/db", "postgres")
REDIS = Installed("/usr/bin/redis-server", "Redis 7.0", "/data/cache")
MACHINE = Machine(
    root=ROOT,
    source=f"{ROOT}/src",
    python="/opt/shipway/bin/python",
    ports=Ports(8080, 8081, 8082, 8091, {"git": 8105}, {"db": 5433, "cache": 6379}),
    variables={"PATH": "/bin", "LANG": "C.UTF-8", "AWS_PROFILE": "mine"},
    installed={"db": POSTGRES, "cache": REDIS},
)


def stack(tmp_path: Path, text: str) -> StackPlan:
    (tmp_path / "agent.toml").write_text(text)
    return plan_stack(load(tmp_path / "agent.toml"))


def plan(tmp_path: Path, text: str = SUPPORT, *, model: Model = "replayed", **machine: Any) -> LocalPlan:
    return plan_local(stack(tmp_path, text), replace(MACHINE, **machine), model=model)


def process(plan: LocalPlan, name: str) -> Process:
    return next(process for process in plan.processes if process.name == name)


def test_every_container_has_a_process(tmp_path: Path) -> None:
    assert [p.name for p in plan(tmp_path).processes] == ["replay", "mcp-git", "agent"]


def test_the_agent_is_started_with_the_contract(tmp_path: Path) -> None:
    agent = process(plan(tmp_path), "agent")
    assert agent.argv == (f"{ROOT}/.shipway/venv/bin/python", "-m", "shipway_runtime")
    expected = {
        "PATH": f"{ROOT}/.shipway/venv/bin:/bin",
        "LANG": "C.UTF-8",
        "SHIPWAY_ENV": "development",
        "SHIPWAY_HOST": "127.0.0.1",
        "SHIPWAY_API_PORT": "8080",
        "SHIPWAY_ADMIN_PORT": "8081",
        "SHIPWAY_RELAY_PORT": "8082",
        "SHIPWAY_SOURCE": f"{ROOT}/src",
        "SHIPWAY_PROMPTS": f"{ROOT}/prompts",
        "SHIPWAY_STORAGE": f"{ROOT}/.shipway/data",
        "SHIPWAY_SECRETS": f"{ROOT}/.shipway/secrets",
        "SHIPWAY_MANIFEST": f"{ROOT}/.shipway/run/shipway.json",
        "SHIPWAY_CONFIG": f"{ROOT}/.shipway/run/config.json",
        "SHIPWAY_MCP_GIT_TARGET": "http://127.0.0.1:8105/mcp",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:8091",
        "OPENAI_BASE_URL": "http://127.0.0.1:8091/v1",
        "ANTHROPIC_API_KEY": "replayed",
    }
    assert {name: agent.env.get(name) for name in expected} == expected
    assert "AWS_PROFILE" not in agent.env


def test_commands_of_inside_servers_are_of_this_machine(tmp_path: Path) -> None:
    env = process(plan(tmp_path), "agent").env
    assert json.loads(env["SHIPWAY_MCP_TIME_COMMAND"]) == [f"{ROOT}/.shipway/mcp/time/bin/mcp-server-time"]
    assert json.loads(env["SHIPWAY_MCP_OWN_COMMAND"]) == [
        *(f"{ROOT}/.shipway/venv/bin/python", "-m", "support.tools"),
        *(f"--cache={ROOT}/.shipway/data/cache", "--database", "/database"),
    ]


def test_a_server_of_the_project_finds_its_module_in_the_source(tmp_path: Path) -> None:
    made = plan(tmp_path)
    manifest = contract.decode(contract.Manifest, made.files[f"{ROOT}/.shipway/run/shipway.json"], "manifest")
    (own,) = [server for server in manifest.mcp if server.name == "own"]
    assert own.env["PYTHONPATH"] == f"{ROOT}/src"


def test_a_sidecar_is_a_relay_in_front_of_its_server(tmp_path: Path) -> None:
    git = process(plan(tmp_path, dotenv={"GITHUB_TOKEN": "t"}), "mcp-git")
    assert git.argv == (
        *(f"{ROOT}/.shipway/venv/bin/python", "-m", "shipway_runtime.relay", "git"),
        *("--port", "8105", "--plain", "--"),
        *(f"{ROOT}/.shipway/mcp/git/bin/mcp-server-git", "--repository", f"{ROOT}/.shipway/data/repo"),
    )
    assert git.env["GITHUB_TOKEN"] == "t"
    assert git.env["HOME_OF_GIT"] == f"{ROOT}/.shipway/data"
    assert "ANTHROPIC_API_KEY" not in git.env
    assert not any(name.startswith("SHIPWAY_") for name in git.env)


def test_a_sidecars_limits_are_its_relays_where_no_engine_keeps_them(tmp_path: Path) -> None:
    limits = 'message_limit = "1MB"\nresources = { cpu = "50m", memory = "128Mi" }\n'
    made = plan(tmp_path, SUPPORT.replace("storage = true\n", "storage = true\n" + limits))
    argv = process(made, "mcp-git").argv
    assert argv[6 : argv.index("--")] == ("--plain", "--message-limit", "1000000", "--memory", "134217728")
    assert made.remarks[0] == "MCP server git: its CPU is not limited without containers"


def test_a_secret_from_a_file_is_a_file(tmp_path: Path) -> None:
    made = plan(tmp_path, dotenv={"GITHUB_TOKEN": "from .env"}, variables={"GITHUB_TOKEN": "from outside"})
    assert made.secrets == {"GITHUB_TOKEN": "from outside"}
    assert "GITHUB_TOKEN" not in process(made, "agent").env
    assert "from outside" not in repr(made)


def test_a_missing_secret_and_an_undeclared_one_are_remarked(tmp_path: Path) -> None:
    remarks = plan(tmp_path, dotenv={"OTHER": "x", "ANTHROPIC_BASE_URL": "http://gateway"}).remarks
    assert [r.partition(":")[0] for r in remarks] == ["secret GITHUB_TOKEN has no value", ".env"]


def test_one_agent_runs_however_many_there_are_elsewhere(tmp_path: Path) -> None:
    few = 'name = "a"\nentrypoint = "a:a"\n[resources]\nreplicas = 3\n'
    assert plan(tmp_path, few).remarks == ("one agent runs here, not 3: replicas are for other targets",)
    assert plan(tmp_path, few.replace("3", "1")).remarks == ()


BROKER = """
name = "brokered"
entrypoint = "brokered:agent"
[secrets]
CRM = { token_url = "https://login.example.com/token", client_id = "support", client_secret = "CRM_SECRET" }
CRM_SECRET = "file"
[mcp.crm]
url = "https://crm.example.com/mcp"
auth = "CRM"
headers = { X-Api-Key = "CRM_SECRET" }
"""


def test_a_broker_is_asked_by_the_runtime_with_the_secret_of_dotenv(tmp_path: Path) -> None:
    made = plan(tmp_path, BROKER, dotenv={"CRM_SECRET": "shown to the broker"})
    assert made.secrets == {"CRM_SECRET": "shown to the broker"}
    assert made.remarks == ()
    manifest = contract.decode(contract.Manifest, made.files[f"{ROOT}/.shipway/run/shipway.json"], "manifest")
    assert manifest.settings.secrets["CRM"].broker == contract.Broker(
        "https://login.example.com/token", "support", "CRM_SECRET"
    )
    assert (manifest.mcp[0].auth, manifest.mcp[0].headers) == ("CRM", {"X-Api-Key": "CRM_SECRET"})


def test_a_value_in_place_of_a_brokers_token_is_not_used(tmp_path: Path) -> None:
    made = plan(tmp_path, BROKER, dotenv={"CRM_SECRET": "x", "CRM": "a token of my own"})
    assert made.remarks == (
        "secret CRM comes from its broker; the value in the environment or in .env is not used",
    )
    assert "a token of my own" not in {**process(made, "agent").env, **made.secrets}.values()


def test_live_with_a_key_from_a_broker(tmp_path: Path) -> None:
    source = '{ token_url = "https://x.example.com", client_id = "a", identity_token = "/run/t" }'
    text = SUPPORT.replace('ANTHROPIC_API_KEY = "env"', f"ANTHROPIC_API_KEY = {source}")
    assert "ANTHROPIC_API_KEY" not in process(plan(tmp_path, text, model="--live"), "agent").env


def test_a_real_key_does_not_reach_a_replayed_agent(tmp_path: Path) -> None:
    made = plan(tmp_path, dotenv={"ANTHROPIC_API_KEY": "mine"})
    assert process(made, "agent").env["ANTHROPIC_API_KEY"] == "replayed"
    assert not any("mine" in p.env.values() for p in made.processes)
    assert (
        "ANTHROPIC_API_KEY: the value in the environment or in .env is not used while the model is replayed"
        in made.remarks
    )
    assert process(plan(tmp_path, model="--live", dotenv={"ANTHROPIC_API_KEY": "mine"}), "agent").env[
        "ANTHROPIC_API_KEY"
    ] == ("mine")


def test_the_runtime_knows_that_the_model_is_replayed(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert process(made, "agent").env["SHIPWAY_REPLAY"] == "http://127.0.0.1:8091"
    assert made.replayed == "replays"
    real: dict[str, Any] = {"dotenv": {"ANTHROPIC_API_KEY": "mine"}}
    real["variables"] = {"HTTPS_PROXY": "http://proxy.example.com"}
    for model in ("--live", "--record", "--record-missing"):
        other = plan(tmp_path, model=model, **real)
        env = process(other, "agent").env
        assert "SHIPWAY_REPLAY" not in env, model
        assert env["NO_PROXY"] == "127.0.0.1,localhost", model
        assert env["ANTHROPIC_API_KEY"] == "mine", model
        assert ("ANTHROPIC_BASE_URL" in env) == (model != "--live")
        assert other.replayed is None


def test_live_needs_the_key_and_has_no_replay(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="--live needs ANTHROPIC_API_KEY"):
        plan(tmp_path, model="--live")
    made = plan(tmp_path, model="--live", dotenv={"ANTHROPIC_API_KEY": "mine"})
    assert [p.role for p in made.processes] == ["sidecar", "agent"]
    assert "ANTHROPIC_BASE_URL" not in process(made, "agent").env


def test_the_documents_are_what_the_runtime_reads(tmp_path: Path) -> None:
    files = plan(tmp_path, prompts_digest="sha256:p").files
    manifest = contract.decode(contract.Manifest, files[f"{ROOT}/.shipway/run/shipway.json"], "manifest")
    config = contract.decode(contract.Config, files[f"{ROOT}/.shipway/run/config.json"], "config")
    assert (manifest.entrypoint, manifest.prompts) == ("support:agent", "sha256:p")
    assert [server.name for server in manifest.mcp] == ["time", "own", "git"]
    assert config.environment == "development"


def test_directories_that_processes_need_are_made(tmp_path: Path) -> None:
    assert plan(tmp_path).directories == (f"{ROOT}/.shipway/data", f"{ROOT}/replays")
    assert plan(tmp_path, DATABASE).directories == ()


def test_environments_are_one_for_the_agent_and_one_for_each_package(tmp_path: Path) -> None:
    environments = plan(tmp_path).environments
    assert [(e.path.removeprefix(f"{ROOT}/.shipway/"), e.requirement) for e in environments] == [
        ("venv", None),
        ("mcp/time", "mcp-server-time==1"),
        ("mcp/git", "mcp-server-git"),
    ]


def test_services_start_before_the_agent_and_give_it_their_urls(tmp_path: Path) -> None:
    made = plan(tmp_path, DATABASE)
    assert [p.name for p in made.processes] == ["db", "cache", "agent"]
    agent = process(made, "agent")
    assert agent.after == ("db", "cache")
    assert agent.env["DATABASE_URL"] == "postgresql://postgres@127.0.0.1:5433/postgres"
    assert agent.env["CACHE_URL"] == "redis://127.0.0.1:6379/0"
    db = process(made, "db")
    assert (db.user, db.stop) == ("postgres", "SIGINT")
    assert made.setups[0].argv[0] == "/usr/lib/postgresql/15/bin/initdb"
    assert "db: PostgreSQL 15.1 of this machine stands in for postgres:17" in made.remarks


def test_a_service_that_is_given_is_not_started(tmp_path: Path) -> None:
    made = plan(tmp_path, DATABASE, dotenv={"DATABASE_URL": "postgresql://db.example.com/x"})
    assert [p.name for p in made.processes] == ["cache", "agent"]
    assert process(made, "agent").env["DATABASE_URL"] == "postgresql://db.example.com/x"


def test_a_service_that_is_nowhere_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="postgres:17: its server is not installed") as caught:
        plan(tmp_path, DATABASE, installed={})
    assert "DATABASE_URL" in caught.value.hint


def test_the_stack_is_never_behind_a_proxy(tmp_path: Path) -> None:
    variables = {"HTTPS_PROXY": "http://proxy.example.com", "NO_PROXY": "internal"}
    made = plan(tmp_path, variables=variables)
    sidecar, agent = process(made, "mcp-git").env, process(made, "agent").env
    assert sidecar["NO_PROXY"] == sidecar["no_proxy"] == "internal,127.0.0.1,localhost"
    past = agent["NO_PROXY"].removeprefix("internal,127.0.0.1,localhost,").split(",")
    assert {"api.anthropic.com", "api.openai.com", ".openai.azure.com"} <= set(past)
    assert not any("*" in host for host in past)


# -- Recording -----------------------------------------------------------------------------------------------


def replay_arguments(made: LocalPlan) -> tuple[str, ...]:
    argv = process(made, "replay").argv
    return argv[argv.index("--journal") + 2 :]


def test_recording_is_told_of_gateways_and_secrets_but_not_their_values(tmp_path: Path) -> None:
    given = {"ANTHROPIC_API_KEY": "a-real-key", "ANTHROPIC_BASE_URL": "https://gateway.example.com/a"}
    made = plan(tmp_path, model="--record", dotenv=given)
    assert (made.replayed, made.recorded) == (None, "replays")
    assert not any("is not used" in remark for remark in made.remarks)
    upstream = ("--upstream", "anthropic=https://gateway.example.com/a")
    assert replay_arguments(made) == ("--record", *upstream, "--secret", "ANTHROPIC_API_KEY")
    assert process(made, "replay").env["ANTHROPIC_API_KEY"] == "a-real-key"
    agent = process(made, "agent").env
    assert agent["ANTHROPIC_API_KEY"] == "a-real-key"
    assert agent["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{MACHINE.ports.replay}"


def test_replaying_hides_the_same_secrets_and_no_placeholder(tmp_path: Path) -> None:
    assert replay_arguments(plan(tmp_path)) == ()
    text = SUPPORT.replace("[secrets]", '[secrets]\nCRM_TOKEN = "file"')
    made = plan(tmp_path, text, dotenv={"CRM_TOKEN": "a-real-token", "ANTHROPIC_API_KEY": "a-real-key"})
    assert replay_arguments(made) == ("--secret", "CRM_TOKEN")
    assert process(made, "replay").env["CRM_TOKEN"] == "a-real-token"


def test_a_recorder_never_asks_itself(tmp_path: Path) -> None:
    url = f"http://localhost:{MACHINE.ports.replay}"
    given = {"ANTHROPIC_API_KEY": "a-real-key", "ANTHROPIC_BASE_URL": url}
    made = plan(tmp_path, model="--record-missing", variables=given)
    assert replay_arguments(made) == ("--record-missing", "--secret", "ANTHROPIC_API_KEY")


def test_a_model_by_url_is_asked_there_whatever_it_speaks(tmp_path: Path) -> None:
    text = SUPPORT.replace('provider = "anthropic"', 'provider = "https://models.example.com/v1"')
    assert text != SUPPORT
    made = plan(tmp_path, text, model="--record", dotenv={"ANTHROPIC_API_KEY": "a-real-key"})
    named = [word for word in replay_arguments(made) if "=" in word]
    assert named == [f"{name}=https://models.example.com/v1" for name in ("anthropic", "openai", "gemini")]


def test_a_control_server_is_reported_to_if_the_user_has_one(tmp_path: Path) -> None:
    given = {"SHIPWAY_CONTROL_URL": "http://127.0.0.1:8083", "SHIPWAY_CONTROL_TOKEN": "a-token"}
    agent = process(plan(tmp_path, dotenv=given), "agent").env
    assert {name: agent[name] for name in given} == given
    assert not any(name.startswith("SHIPWAY_CONTROL") for name in process(plan(tmp_path), "agent").env)
