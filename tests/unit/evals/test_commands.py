"""Commands of no known framework, and how known ones are recognised."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from tests.ports import free_port

from shipway.errors import StackError
from shipway.evals.commands import ANY, FRAMEWORKS
from shipway.evals.commands.running import known, run


@pytest.mark.parametrize(
    ("command", "framework"),
    [
        ("promptfoo eval -c x.yaml", "promptfoo"),
        ("npx --yes promptfoo@latest eval", "promptfoo"),
        ("uv run inspect eval task.py", "inspect"),
        ("python -m inspect_ai eval task.py", "inspect"),
        ("./node_modules/.bin/promptfoo eval", "promptfoo"),
        ("deepeval test run x.py", "deepeval"),
        ("python evals/run.py", None),
        ("pytest tests/evals", None),
    ],
)
def test_frameworks_are_known_by_their_program(command: str, framework: str | None) -> None:
    assert known(shlex.split(command)) is (FRAMEWORKS[framework] if framework else ANY)


def program(root: Path, source: str) -> str:
    (root / "run.py").write_text(source)
    return f"{sys.executable} run.py"


def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(("code", "status"), [(0, "passed"), (1, "failed"), (100, "failed")])
def test_another_program_is_judged_by_its_exit_code(tmp_path: Path, code: int, status: str) -> None:
    command = program(tmp_path, f"import os, sys; assert os.environ['SHIPWAY_URL']; sys.exit({code})")
    (result,) = run(command, tmp_path, nobody())
    assert (result.status, result.id) == (status, command)


def test_a_program_of_the_project_goes_before_one_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / ".venv/bin").mkdir(parents=True)
    own = tmp_path / ".venv/bin/true"
    own.write_text("#!/bin/sh\nexit 3\n")
    own.chmod(0o755)
    (result,) = run("true", tmp_path, nobody())
    assert result.status == "failed"


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="there is no program nothing-of-this-name"):
        run("nothing-of-this-name eval", tmp_path, nobody())


def test_a_framework_that_leaves_nothing_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / ".venv/bin").mkdir(parents=True)
    own = tmp_path / ".venv/bin/promptfoo"
    own.write_text("#!/bin/sh\nexit 0\n")
    own.chmod(0o755)
    with pytest.raises(StackError, match="ended with code 0 and left no results"):
        run("promptfoo eval", tmp_path, nobody())


def test_results_that_cannot_be_read_are_no_pass(tmp_path: Path) -> None:
    source = (
        "import os, pathlib; pathlib.Path(os.environ['SHIPWAY_EVAL_RESULTS']).write_text('{\"cases\": 3}')"
    )
    with pytest.raises(StackError, match="cannot be read: TypeError"):
        run(program(tmp_path, source), tmp_path, nobody())
