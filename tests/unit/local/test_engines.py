from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.local.test_planning import stack

from shipway.errors import StackError
from shipway.local.engines import Chosen, choose
from shipway.plan.stack import StackPlan

pytestmark = pytest.mark.slow

AGENT = 'name = "a"\nentrypoint = "agent:agent"\n'
COMMAND = '[mcp.own]\nshape = "sidecar"\nrun = ["python", "own.py"]\n'
PROCESSES = "running as processes of this machine (no images, no limits, no read-only root): "
CONTEXT = """#!/bin/sh
case "$1" in
context) echo unix:///var/run/docker.sock ;;
*) %s ;;
esac
"""


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def plan(tmp_path: Path) -> StackPlan:
    return stack(tmp_path, AGENT)


def docker(path: Path, script: str) -> None:
    (path / "docker").write_text(script)
    (path / "docker").chmod(0o755)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("", "docker is not on PATH"),
        (CONTEXT % "exec /bin/sleep 1000", "Docker does not answer within 3 s"),
        ("#!/bin/sh\nexec /bin/sleep 1000\n", "Docker does not answer within 3 s"),
        (
            "#!/bin/sh\necho 'unrecognized\ncommand' >&2; exit 125\n",
            "Docker does not answer: unrecognized command",
        ),
        (CONTEXT % "echo '{}'", "Docker does not answer: something else is called docker"),
        (
            CONTEXT % """echo '{"ServerErrors": ["permission denied: Get \\"http://%2Fvar\\""]}'""",
            "Docker does not answer: permission denied",
        ),
        (
            "#!/bin/sh\necho ssh://me@far.example.com\n",
            "Docker's engine is on another machine, ssh://me@far.example.com: it cannot mount this project's "
            "directories",
        ),
    ],
)
def test_processes_and_why(path: Path, plan: StackPlan, script: str, why: str) -> None:
    if script:
        docker(path, script)
    assert choose(None, plan) == Chosen(None, PROCESSES + why)


def test_docker_where_it_answers(path: Path, plan: StackPlan) -> None:
    docker(path, CONTEXT % """echo '{"ServerVersion": "20.10.24", "SecurityOptions": ["name=rootless"]}'""")
    chosen = choose(None, plan)
    assert chosen.docker
    assert (chosen.docker.program, chosen.docker.user) == (str(path / "docker"), "0:0")
    assert "running in Docker" in chosen.said
    assert choose("docker", plan).said == ""


def test_what_is_asked_for_is_not_replaced(plan: StackPlan) -> None:
    assert choose("processes", plan) == Chosen(None)
    with pytest.raises(StackError, match="docker is not on PATH") as error:
        choose("docker", plan)
    assert "--engine processes" in error.value.hint


def test_processes_where_no_image_has_a_sidecar(path: Path) -> None:
    docker(path, CONTEXT % """echo '{"ServerVersion": "20.10.24"}'""")
    own, why = stack(path, AGENT + COMMAND), "[mcp.own] is a command of your own, and no image has it"
    assert choose(None, own) == Chosen(None, PROCESSES + why)
    with pytest.raises(StackError) as error:
        choose("docker", own)
    assert str(error.value) == why
    assert "--engine processes" in error.value.hint
