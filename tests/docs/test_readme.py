"""The README's transcript is run: every command in it, with the output that it promises."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipway.local import containers

SHIPWAY = Path(sys.executable).with_name("shipway")
AGENT = "async def agent(messages, ctx):\n    yield f\"You said: {messages[-1]['content']}\"\n"


def transcript() -> list[tuple[str, str]]:
    """Each command of the README's console block, and what it says comes out."""
    (block,) = re.findall(r"```console\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
    steps = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (step.partition("\n") for step in steps)]


def pattern(expected: str) -> re.Pattern[str]:
    """`...` stands for anything, as in doctest."""
    parts = re.split(r"\.\.\.", expected.strip())
    return re.compile(".*".join(re.sub(r"(\\ )+", r"\\s+", re.escape(part)) for part in parts), re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "my-agent"
    directory.mkdir()
    (directory / "agent.py").write_text(AGENT)
    yield directory
    subprocess.run((SHIPWAY, "down"), cwd=directory, check=True)


def run(command: str, directory: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        shlex.split(command),
        cwd=directory,
        env=os.environ | env | {"PATH": f"{SHIPWAY.parent}:{env.get('PATH', os.environ['PATH'])}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}"
    return done.stdout


def check(project: Path, **env: str) -> None:
    for command, expected in transcript():
        output = run(command, project, env)
        assert pattern(expected).fullmatch(output.strip()), f"$ {command}\n{output}"


@pytest.mark.network
def test_the_transcript_is_true_without_docker(project: Path) -> None:
    check(project, DOCKER_HOST="unix:///nobody/listens.sock")


@pytest.mark.network
@pytest.mark.docker
def test_the_transcript_is_true_with_docker(project: Path, engine: Callable[[str], str]) -> None:
    docker = engine("docker")
    try:
        check(project, PATH=f"{Path(docker).parent}:{os.environ['PATH']}")
    finally:
        image = f"{containers.project('my-agent', str(project))}-agent:up"
        removed = subprocess.run((docker, "rmi", "--force", image), capture_output=True, text=True)
    assert image in removed.stdout  # it ran in Docker
