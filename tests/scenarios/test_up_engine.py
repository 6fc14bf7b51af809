"""Which engine `shipway up` takes when nobody says one, and what it says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.scenarios.stacks import Project, until

pytestmark = pytest.mark.network

CONTAINERS = "running in Docker, in the images that production has; --engine processes starts without them"
PROCESSES = "running as processes of this machine (no images, no limits, no read-only root): "
AGENT = """\
import os
async def agent(messages, ctx):
    return f"in {os.environ.get('SHIPWAY_MANIFEST', 'a container')}"
"""


@pytest.fixture
def project(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Project]:
    made = Project(tmp_path, free_port())
    made.write(agent_toml='name = "small"\nentrypoint = "agent:agent"\n', agent_py=AGENT)
    made.options = ("--port", str(made.port))
    yield made
    made.close()
    assert until(lambda: made.left() == []), made.left()


def runs_as_processes(project: Project, why: str) -> None:
    said = project.up().stderr.splitlines()
    assert [line for line in said if line.startswith(PROCESSES + why)], said
    assert project.run("ask", "where?").stdout == f"in {project.root}/.shipway/run/shipway.json\n"
    assert project.run("status").stdout.startswith("small, as processes, pid ")


@pytest.mark.docker
def test_docker_when_it_answers(project: Project, engine: Callable[[str], str]) -> None:
    project.engine, project.docker = "docker", engine("docker")
    project.env["PATH"] = f"{Path(project.docker).parent}:{project.env['PATH']}"
    del project.env["SHIPWAY_CACHE"]
    up = project.up()
    assert CONTAINERS in up.stderr.splitlines()
    assert project.run("ask", "where?").stdout == "in a container\n"
    assert project.run("status").stdout.startswith("small, in Docker, pid ")
    project.run("down")
    chosen = project.up("--engine", "processes")
    assert "running" not in chosen.stderr.replace("running on Python", "")
    assert project.run("status").stdout.startswith("small, as processes, pid ")


def test_processes_without_docker(project: Project, tmp_path: Path) -> None:
    project.env["PATH"] = str(tmp_path / "nothing")
    runs_as_processes(project, "docker is not on PATH")


def test_processes_where_nobody_listens(project: Project, engine: Callable[[str], str]) -> None:
    project.env["PATH"] = f"{Path(engine('docker')).parent}:{project.env['PATH']}"
    project.env["DOCKER_HOST"] = "unix:///nobody/listens.sock"
    runs_as_processes(project, "Docker does not answer: ")
