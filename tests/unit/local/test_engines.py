from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import StackError
from shipway.local.engines import Chosen, choose

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
def test_processes_and_why(path: Path, script: str, why: str) -> None:
    if script:
        docker(path, script)
    assert choose(None) == Chosen(None, PROCESSES + why)


def test_docker_where_it_answers(path: Path) -> None:
    docker(path, CONTEXT % """echo '{"ServerVersion": "20.10.24", "SecurityOptions": ["name=rootless"]}'""")
    chosen = choose(None)
    assert chosen.docker
    assert (chosen.docker.program, chosen.docker.user) == (str(path / "docker"), "0:0")
    assert "running in Docker" in chosen.said
    assert choose("docker").said == ""


def test_what_is_asked_for_is_not_replaced() -> None:
    assert choose("processes") == Chosen(None)
    with pytest.raises(StackError, match="docker is not on PATH") as error:
        choose("docker")
    assert "--engine processes" in error.value.hint
