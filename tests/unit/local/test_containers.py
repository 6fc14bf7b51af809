from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.test_planning import DATABASE, MACHINE, ROOT, SUPPORT, process, stack

import shipway
from shipway.errors import StackError
from shipway.local.addresses import from_container
from shipway.local.container_process import mount
from shipway.local.containers import plan_containers
from shipway.local.plan import Docker, LocalPlan, Model, Probe
from shipway.plan import container
from shipway_runtime import contract

ENGINE = Docker("/usr/bin/docker", "1000:1001", "t0ken")
DIGEST = hashlib.sha256(ROOT.encode()).hexdigest()[:6]
NAME = f"support-{DIGEST}"
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
)
REPLAYED = "http://127.0.0.1:8090"


def plan(tmp_path: Path, text: str = SUPPORT, *, model: Model = "replayed", **machine: Any) -> LocalPlan:
    here = replace(MACHINE, docker=ENGINE, installed={}, **machine)
    return plan_containers(stack(tmp_path, text), here, model=model)


def begin(name: str, project: str = NAME) -> tuple[str, ...]:
    named = ("--name", f"{project}-{name}", "--label", f"dev.shipway.stack={project}")
    return ("/usr/bin/docker", "run", "--rm", *named, "--pull", "never", "--log-driver", "local")


def env(argv: tuple[str, ...]) -> dict[str, str | None]:
    """The variables of a `docker run`; None for what it takes from its own environment."""
    given = [argv[i + 1] for i, word in enumerate(argv) if word == "--env"]
    return {word.partition("=")[0]: word.partition("=")[2] if "=" in word else None for word in given}


def without_env(argv: tuple[str, ...]) -> tuple[str, ...]:
    words = iter(argv)
    return tuple(word for word in words if word != "--env" or not next(words))


def bind(source: str, target: str) -> tuple[str, str]:
    return "--mount", f"type=bind,source={ROOT}/{source},target={target}"


def test_every_container_is_a_process(tmp_path: Path) -> None:
    assert [p.name for p in plan(tmp_path).processes] == ["pod", "replay", "mcp-git", "agent"]


def test_the_pod_has_the_ports_and_keeps_providers_away(tmp_path: Path) -> None:
    argv = process(plan(tmp_path), "pod").argv
    hosts = [argv[i + 1] for i, word in enumerate(argv) if word == "--add-host"]
    assert hosts[:2] == ["host.docker.internal:host-gateway", "api.anthropic.com:127.0.0.1"]
    at = argv.index("--add-host")
    assert argv[:at] == (
        *begin("pod"),
        *("--network", NAME),
        *("--publish", "127.0.0.1:8080:8080", "--publish", "127.0.0.1:8081:8081"),
        *("--publish", "127.0.0.1:8091:8090", "--publish", "127.0.0.1:8105:8100"),
    )
    assert argv[at + 2 * len(hosts) :] == (
        *("--user", "1000:1001", *HARDENED),
        *("--entrypoint", container.HOLD[0], f"{NAME}-agent:up", *container.HOLD[1:]),
    )


def test_the_agent_is_started_as_its_image_says(tmp_path: Path) -> None:
    agent = process(plan(tmp_path, variables={"PATH": "/bin", "LANG": "de_DE", "X": "x"}), "agent")
    assert without_env(agent.argv) == (
        *begin("agent"),
        *("--network", f"container:{NAME}-pod", "--user", "1000:1001", *HARDENED),
        *("--memory", "536870912", "--memory-swap", "536870912"),
        *("--mount", f"type=bind,source={ROOT}/.shipway/run,target=/etc/shipway,readonly"),
        *("--mount", f"type=bind,source={ROOT}/.shipway/secrets,target=/run/secrets,readonly"),
        *bind(".shipway/data", "/data"),
        f"{NAME}-agent:up",
    )
    found = env(agent.argv)
    assert (
        found
        | {
            "SHIPWAY_ENV": "development",
            "SHIPWAY_CHECK_INTERVAL": "1",
            "SHIPWAY_DRAIN_DELAY": "0",
            "SHIPWAY_REPLAY": REPLAYED,
            "ANTHROPIC_BASE_URL": REPLAYED,
            "OPENAI_BASE_URL": f"{REPLAYED}/v1",
            "ANTHROPIC_API_KEY": None,
        }
        == found
    )
    assert not {"PATH", "LANG", "X", "SHIPWAY_API_PORT", "SHIPWAY_STORAGE"} & set(found)
    assert agent.env == {"PATH": "/bin", "ANTHROPIC_API_KEY": "replayed", "SHIPWAY_ADMIN_TOKEN": "t0ken"}
    assert agent.probe == Probe("agent", ("http://127.0.0.1:8081/readyz",))
    assert agent.after == ("pod",)
    assert agent.removal == ("/usr/bin/docker", "rm", "--force", "--volumes", f"{NAME}-agent")
    assert (
        agent.codes[137] == "was killed, for its memory limit of 512 MiB if nobody did it by hand (code 137)"
    )


def test_a_secret_is_in_no_argument(tmp_path: Path) -> None:
    secret = {"ANTHROPIC_API_KEY": "sk-very-real", "GITHUB_TOKEN": "ghp-very-real"}
    planned = plan(tmp_path, model="--record", dotenv=secret)
    for each in planned.processes:
        assert not any("very-real" in word for word in each.argv)
    assert process(planned, "agent").env["ANTHROPIC_API_KEY"] == "sk-very-real"
    assert process(planned, "replay").env["GITHUB_TOKEN"] == "ghp-very-real"
    assert planned.secrets == {"GITHUB_TOKEN": "ghp-very-real"}
    mounted = (
        f"type=bind,source={ROOT}/.shipway/secrets/GITHUB_TOKEN,target=/run/secrets/GITHUB_TOKEN,readonly"
    )
    assert mounted in process(planned, "mcp-git").argv


def test_a_sidecar_joins_the_pod(tmp_path: Path) -> None:
    git = process(plan(tmp_path), "mcp-git")
    python = container.PYTHON
    assert git.argv == (
        *begin("mcp-git"),
        *("--network", f"container:{NAME}-pod", "--user", "1000:1001", *HARDENED),
        *(*bind(".shipway/data", "/data"), "--env", "HOME_OF_GIT=/data"),
        *("--entrypoint", python, f"{NAME}-mcp-git:up"),
        *("-m", "shipway_runtime.relay", "git", "--port", "8100", "--host", "0.0.0.0", "--plain", "--"),
        *("/app/mcp/git/bin/mcp-server-git", "--repository", "/data/repo"),
    )
    assert git.probe == Probe("http", ("http://127.0.0.1:8105/healthz",))
    assert (git.inside, git.after) == ("pod", ("pod",))


def test_the_replay_reads_or_records(tmp_path: Path) -> None:
    image = f"shipway-replay:{shipway.__version__}"
    begun = (*begin("replay"), "--network", f"container:{NAME}-pod", "--user", "1000:1001", *HARDENED)
    prompts = ("--mount", f"type=bind,source={ROOT}/prompts,target=/prompts,readonly")
    journal = (*bind(".shipway/replay", "/journal"), *prompts)
    replayed = process(plan(tmp_path), "replay")
    assert without_env(replayed.argv) == (
        *begun,
        *("--mount", f"type=bind,source={ROOT}/replays,target=/replays,readonly", *journal),
        *(image, "--journal", "/journal/journal.jsonl"),
    )
    assert env(replayed.argv) == {"SHIPWAY_PROMPTS": "/prompts", "SHIPWAY_MODEL": "claude"}
    gateway = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://localhost:9000/a"}
    recorder = process(plan(tmp_path, model="--record", dotenv=gateway), "replay")
    assert without_env(recorder.argv) == (
        *(*begun, *bind("replays", "/replays"), *journal),
        *(image, "--journal", "/journal/journal.jsonl", "--record"),
        *("--upstream", "anthropic=http://host.docker.internal:9000/a", "--secret", "ANTHROPIC_API_KEY"),
    )


def test_the_real_model_needs_no_replay(tmp_path: Path) -> None:
    planned = plan(tmp_path, model="--live", dotenv={"ANTHROPIC_API_KEY": "k"})
    assert [p.name for p in planned.processes] == ["pod", "mcp-git", "agent"]
    assert "SHIPWAY_REPLAY" not in env(process(planned, "agent").argv)
    assert "api.anthropic.com:127.0.0.1" not in process(planned, "pod").argv


APART = """
name = "wide"
entrypoint = "wide:agent"
[mcp.crm]
shape = "service"
run = "pypi:mcp-server-crm"
[mcp.own]
shape = "sidecar"
run = "project:wide.tools"
[mcp.given]
shape = "sidecar"
run = "image:example.com/mcp:1"
[mcp.local]
url = "http://127.0.0.1:9100/mcp"
"""


def test_servers_apart_and_images_of_others(tmp_path: Path) -> None:
    ports = replace(MACHINE.ports, sidecars={"crm": 8100, "own": 8101, "given": 8102})
    planned = plan(tmp_path, APART, ports=ports)
    project = f"wide-{DIGEST}"
    crm = process(planned, "mcp-crm")
    apart = ("--network", project, "--network-alias", "wide-mcp-crm")
    assert crm.argv[: crm.argv.index("--publish") + 2] == (
        *begin("mcp-crm", project),
        *(*apart, "--add-host", "host.docker.internal:host-gateway", "--publish", "127.0.0.1:8100:8100"),
    )
    assert crm.inside is None
    own, given = process(planned, "mcp-own").argv, process(planned, "mcp-given").argv
    assert f"{project}-agent:up" in own
    assert own[-3:] == (container.PYTHON, "-m", "wide.tools")
    assert given == (
        *begin("mcp-given", project),
        *("--network", f"container:{project}-pod", "--env", "PORT=8101", "example.com/mcp:1"),
    )
    assert planned.containers
    assert planned.containers.built == {"agent": f"{project}-agent:up", "mcp-crm": f"{project}-mcp-crm:up"}
    assert planned.containers.others == ("example.com/mcp:1",)
    assert env(process(planned, "agent").argv)["SHIPWAY_MCP_LOCAL_TARGET"] == (
        "http://host.docker.internal:9100/mcp"
    )


def test_services_run_under_their_names(tmp_path: Path) -> None:
    planned = plan(tmp_path, DATABASE)
    project = f"stored-{DIGEST}"
    database = process(planned, "db")
    apart = ("--network", project, "--network-alias", "db", "--add-host", "host.docker.internal:host-gateway")
    assert without_env(database.argv) == (
        *begin("db", project),
        *(*apart, "--publish", "127.0.0.1:5433:5432"),
        *("--volume", f"{project}-db-data:/var/lib/postgresql/shipway", "postgres:17"),
    )
    assert database.stop == "SIGINT"
    assert database.probe.target[:4] == ("/usr/bin/docker", "exec", f"{project}-db", "pg_isready")
    agent = process(planned, "agent")
    assert agent.after == ("pod", "db", "cache")
    assert env(agent.argv)["DATABASE_URL"] is None
    assert agent.env["DATABASE_URL"].endswith("@db/postgres")
    assert agent.env["CACHE_URL"] == "redis://cache/0"


def test_a_given_url_wins_unless_it_is_the_services_own(tmp_path: Path) -> None:
    here = {"DATABASE_URL": "postgresql://me@localhost:5432/x", "CACHE_URL": "redis://cache:6379/7"}
    planned = plan(tmp_path, DATABASE, dotenv=here)
    assert [p.name for p in planned.processes] == ["pod", "cache", "agent"]
    agent = process(planned, "agent")
    assert agent.env["DATABASE_URL"] == "postgresql://me@host.docker.internal:5432/x"
    assert agent.env["CACHE_URL"] == "redis://cache:6379/7"


def test_a_service_of_another_kind_needs_a_url(tmp_path: Path) -> None:
    text = DATABASE.replace("redis:7", "memcached:1")
    with pytest.raises(StackError, match="its URL is not known"):
        plan(tmp_path, text)
    assert process(plan(tmp_path, text, dotenv={"CACHE_URL": "tcp://cache:11211"}), "cache").probe == Probe(
        "command", ("/usr/bin/docker", "top", f"stored-{DIGEST}-cache")
    )


def test_a_proxy_of_this_machine_is_found_from_a_container(tmp_path: Path) -> None:
    variables = {"HTTP_PROXY": "http://127.0.0.1:3128", "HTTPS_PROXY": "http://me:pw@proxy:3128"}
    agent = process(plan(tmp_path, variables=variables | {"SSL_CERT_FILE": "/etc/ca.pem"}), "agent")
    found = env(agent.argv)
    assert found["HTTP_PROXY"] == "http://host.docker.internal:3128"
    assert found["HTTPS_PROXY"] is None  # its password is in no argument
    assert agent.env["HTTPS_PROXY"] == "http://me:pw@proxy:3128"
    assert "127.0.0.1" in str(found["NO_PROXY"])
    assert "SSL_CERT_FILE" not in found


def test_what_may_be_left_can_be_removed(tmp_path: Path) -> None:
    containers = plan(tmp_path).containers
    assert containers
    names = [f"{NAME}-{name}" for name in ("pod", "replay", "mcp-git", "agent")]
    assert containers.removal == (
        ("/usr/bin/docker", "rm", "--force", "--volumes", *names),
        ("/usr/bin/docker", "network", "rm", NAME),
    )


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://localhost", "http://host.docker.internal"),
        ("http://me:pw@127.0.0.1:80/x?y=1", "http://me:pw@host.docker.internal:80/x?y=1"),
        ("http://[::1]:80", "http://host.docker.internal:80"),
        ("https://example.com/127.0.0.1", "https://example.com/127.0.0.1"),
        ("127.0.0.1,localhost", "127.0.0.1,localhost"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_loopback_is_another_machine_in_a_container(url: str, seen: str) -> None:
    assert from_container(url) == seen


def test_paths_with_commas_and_quotes() -> None:
    assert mount("/a,b", "/x")[1] == 'type=bind,"source=/a,b",target=/x'
    with pytest.raises(StackError, match="quotation mark"):
        mount('/a"b', "/x")


def test_the_config_is_the_environments(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    (document,) = planned.files.values()
    assert contract.decode(contract.Config, document, "").environment == "development"


def test_what_is_not_done_here_is_remarked(tmp_path: Path) -> None:
    few = 'name = "a"\nentrypoint = "a:a"\n[resources]\nreplicas = 3\n[secrets]\nKEY = "env"\n'
    alone, lacking = plan(tmp_path, few).remarks
    assert alone == "one agent runs here, not 3: replicas are for other targets"
    assert lacking == "secret KEY has no value: set it in the environment or in .env"


def test_a_control_server_of_this_machine_is_called_as_a_container_calls_it(tmp_path: Path) -> None:
    given = {"SHIPWAY_CONTROL_URL": "http://127.0.0.1:8083", "SHIPWAY_CONTROL_TOKEN": "a-token"}
    variables = env(process(plan(tmp_path, dotenv=given), "agent").argv)
    assert variables["SHIPWAY_CONTROL_URL"] == "http://host.docker.internal:8083"
    assert variables["SHIPWAY_CONTROL_TOKEN"] == "a-token"
