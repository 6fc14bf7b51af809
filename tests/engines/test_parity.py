"""One stack, whoever runs it: the same answers, the same checks, the same environment for the agent.

02-support as processes, in the containers of `shipway up`, under Docker Compose, and in plain `docker run`s.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.compose import Compose, second_version
from tests.docker import Docker
from tests.engines.test_replay_image import QUESTIONS, Containers, shipway, until
from tests.scenarios.stacks import Engine, Project

from shipway.plan import container

pytestmark = [pytest.mark.docker, pytest.mark.network]

EXAMPLE = Path("examples/02-support").resolve()
PORTS = ("_API_PORT", "_ADMIN_PORT", "_RELAY_PORT")
OF_PROCESSES = {"PATH", "SHIPWAY_HOST", "SHIPWAY_MANIFEST", "SHIPWAY_CONFIG", "SHIPWAY_POLICY"} | {
    *("SHIPWAY_SOURCE", "SHIPWAY_SECRETS", "SHIPWAY_PROMPTS", "SHIPWAY_STORAGE"),
    *("SHIPWAY_MCP_TIME_COMMAND", "SHIPWAY_MCP_GIT_TARGET"),
}
"""Where processes find what a container has in the places of its image."""


@dataclass(frozen=True)
class Seen:
    """What a stack shows of itself. `env`: the variables of the agent that were given to it."""

    answers: list[str]
    checks: dict[str, str]
    settings: dict[str, Any]
    env: dict[str, str]


@pytest.fixture
def support(docker: Docker, tmp_path: Path) -> Path:
    """The example, with images of a name that nobody else has."""
    project, name = tmp_path / "support", f"shipway-test-{uuid.uuid4().hex[:8]}"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns(".shipway", "golden"))
    seeding = (sys.executable, project / "seed.py", project / ".shipway/data/repo")
    subprocess.run(seeding, check=True, capture_output=True)
    spec = project / "agent.toml"
    spec.write_text(spec.read_text().replace("registry.example.com/support", name))
    docker.images += [name, f"{name}-mcp-git"]
    return project


def look(root: Path, api: str, admin: str, env: dict[str, str]) -> Seen:
    def readiness() -> dict[str, Any]:
        document: dict[str, Any] = httpx2.get(f"{admin}/readyz").json()
        return document

    until(lambda: readiness()["status"] == "ready", lambda: json.dumps(readiness()))
    config = httpx2.get(f"{admin}/config").json()
    return Seen(
        answers=[shipway("ask", question, "--url", api, cwd=root) for question in QUESTIONS],
        checks={name: check["state"] for name, check in readiness()["checks"].items()},
        settings=config["settings"],
        env=env,
    )


def of_container(docker: str, name: str) -> dict[str, str]:
    """What was given to a container, beyond what its image says."""
    seen = [
        json.loads(subprocess.run((docker, kind, name), capture_output=True, check=True).stdout)[0]["Config"]
        for kind, name in (("inspect", name), ("inspect", _image(docker, name)))
    ]
    own, image = (dict(pair.split("=", 1) for pair in config["Env"]) for config in seen)
    return {key: value for key, value in own.items() if image.get(key) != value}


def _image(docker: str, name: str) -> str:
    command = (docker, "inspect", "--format", "{{.Image}}", name)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def of_process(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/environ").read_text()
    return dict(pair.split("=", 1) for pair in text.split("\0") if pair)


def up(root: Path, port: int, engine: Engine, docker: Docker) -> Seen:
    """As `shipway up` runs it."""
    project = Project(root, port, engine, docker.program)
    try:
        project.up()
        stack = project.state()
        given = (
            of_process(project.process("agent")["pid"])
            if engine == "processes"
            else of_container(docker.program, project.container("agent"))
        )
        return look(root, stack["api"], stack["admin"], given)
    finally:
        project.close()


def composed(root: Path, ports: tuple[int, int], program: str, docker: Docker) -> Seen:
    """As Docker Compose runs what is rendered."""
    shipway("render", "compose", cwd=root)
    compose = Compose(program, docker.program, root / "deploy/compose/development")
    compose.take(*ports)
    compose.hurry("agent")
    try:
        compose("up", "-d")
        seed = (root / "seed.py").read_text()
        compose("exec", "-T", "mcp-git", container.PYTHON, "-", "/data/repo", stdin=seed)
        given = of_container(docker.program, compose.container("agent"))
        return look(root, compose.api, compose.admin, given)
    finally:
        compose.down()


def plain(root: Path, docker: Docker) -> Seen:
    """As `docker run` does what the plan says."""
    image = json.loads(shipway("plan", "stack", "--json", cwd=root))["replay"]["image"]
    stack = Containers(docker, root, image)
    given = of_container(docker.program, stack.agent)
    return look(root, stack.url("8080"), stack.url("8081"), given)


def contract(env: dict[str, str]) -> dict[str, str]:
    """What agents may rely on: shipway's variables and those of SDKs; the replay's port is no part of it."""
    known = ("SHIPWAY_", "ANTHROPIC_", "OPENAI_", "GOOGLE_", "GEMINI_")
    left_out = {*OF_PROCESSES, "SHIPWAY_ADMIN_TOKEN", "SHIPWAY_CHECK_INTERVAL", "SHIPWAY_DRAIN_DELAY"}
    return {
        name: value.replace(env["SHIPWAY_REPLAY"], "REPLAY")
        for name, value in env.items()
        if name.startswith(known) and name not in left_out and not name.endswith((*PORTS, "_CONFIG_JSON"))
    }


def test_the_same_stack_whoever_runs_it(
    docker: Docker, support: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    seen = {"processes": up(support, free_port(), "processes", docker)}
    seen["docker"] = up(support, free_port(), "docker", docker)
    shipway("build", "--load", cwd=support)
    shipway("replay", "image", "--load", cwd=support)
    program = second_version(tmp_path / "compose")
    seen["compose"] = composed(support, (free_port(), free_port()), program, docker)
    seen["plain"] = plain(support, docker)

    expected = seen["processes"]
    assert set(expected.checks.values()) <= {"up", "no"}
    for name, one in seen.items():
        assert one.answers == expected.answers, name
        assert one.checks == expected.checks, name
        assert one.settings == expected.settings, name
        assert contract(one.env) == contract(expected.env), name
