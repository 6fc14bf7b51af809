"""`shipway render` for engines with rollouts of their own, as it is used: again and again, and with what
is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.test_plans import release
from tests.rollouts import planned
from tests.scenarios.conftest import Run
from tests.stacks import AGENT, desk

from shipway_runtime import contract


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One that was built: its release is there."""
    root = tmp_path / "desk"
    root.mkdir()
    plan = desk(root)
    assert (root / "agent.toml").read_text() == AGENT
    (root / "agent.py").write_text('async def agent(messages, ctx):\n    return "hello"\n')
    (root / ".shipway").mkdir()
    (root / ".shipway/release.json").write_text(contract.encode(release(plan)))
    return root


def test_what_is_of_the_account_stays_when_everything_else_is_written_again(
    project: Path, shipway: Run
) -> None:
    first = shipway("render", "ecs", "--env", "prod", cwd=project)
    assert first.returncode == 0, first.stderr
    assert "deploy/ecs/prod/account.env" in first.stdout.splitlines()
    assert "GITHUB_TOKEN, CRM_SECRET: ECS gives secrets in the environment alone" in first.stderr
    account = project / "deploy/ecs/prod/account.env"
    account.write_text(account.read_text().replace("CLUSTER=", "CLUSTER=mine"))
    task = project / "deploy/ecs/prod/register-task-definition.json"
    task.write_text("{}")
    again = shipway("render", "ecs", "--env", "prod", cwd=project)
    assert "deploy/ecs/prod/account.env" not in again.stdout.splitlines()
    assert "CLUSTER=mine" in account.read_text()
    assert "@sha256:" in task.read_text()


def test_jobs_are_named_in_the_order_in_which_they_are_run(project: Path, shipway: Run) -> None:
    done = shipway("render", "nomad", "--env", "prod", cwd=project)
    assert done.returncode == 0, done.stderr
    files = ["control.nomad.hcl", "mcp-crm.nomad.hcl", "agent.nomad.hcl"]
    assert done.stdout.splitlines() == [f"deploy/nomad/prod/{name}" for name in files]
    assert "max_kill_timeout" in done.stderr


@pytest.mark.parametrize("target", ["ecs", "nomad"])
def test_nothing_is_written_where_something_is_refused(project: Path, shipway: Run, target: str) -> None:
    for arguments, message in (
        ((), "fix: name an environment: --env prod"),
        (("--env", "pord"), "fix: use `prod`"),
        (("--env", "prod", "--release", "other.json"), "there is no release in other.json"),
    ):
        done = shipway("render", target, *arguments, cwd=project)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
    assert not (project / "deploy").exists()


def test_a_script_that_somebody_wrote_is_not_replaced(project: Path, shipway: Run) -> None:
    script = project / "deploy/ecs/prod/deploy.sh"
    script.parent.mkdir(parents=True)
    script.write_text("echo mine\n")
    done = shipway("render", "ecs", "--env", "prod", cwd=project)
    assert done.returncode == 1
    assert "deploy.sh is there, and was not written by shipway" in done.stderr
    assert script.read_text() == "echo mine\n"


@pytest.fixture
def rolling(tmp_path: Path) -> Path:
    """A project with a rollout, whose release is there."""
    plan, _ = planned(tmp_path)
    (tmp_path / "support.py").write_text('async def agent(messages, ctx):\n    return "hello"\n')
    (tmp_path / ".shipway").mkdir()
    (tmp_path / ".shipway/release.json").write_text(contract.encode(release(plan)))
    return tmp_path


def test_a_rollout_is_argos_when_that_is_said(rolling: Path, shipway: Run) -> None:
    done = shipway("render", "kubernetes", "--env", "prod", "--rollout", "argo", cwd=rolling)
    assert done.returncode == 0, done.stderr
    names = [line.removeprefix("deploy/kubernetes/prod/base/") for line in done.stdout.splitlines()]
    assert {"rollout.yaml", "httproute.yaml", "analysis.yaml"} <= set(names)
    assert "support-evals:0123456789ab, an image that you build: docs/reference/argo.md" in done.stderr
    plain = shipway("render", "kubernetes", "--env", "prod", "-o", "plain", cwd=rolling)
    assert plain.returncode == 0, plain.stderr
    assert "plain/base/deployment.yaml" in plain.stdout.splitlines()
    assert "--rollout argo, or by hand (docs/reference/kubernetes.md)" in plain.stderr


def test_argo_without_steps_is_a_mistake(project: Path, shipway: Run) -> None:
    done = shipway("render", "kubernetes", "--env", "prod", "--rollout", "argo", cwd=project)
    assert done.returncode == 2
    assert "--rollout argo needs steps: add [rollout] to agent.toml" in done.stderr
    assert not (project / "deploy").exists()


@pytest.mark.parametrize(("target", "file"), [("ecs", "hook.py"), ("nomad", "gate.nomad.hcl")])
def test_what_decides_is_written_beside_the_rest(rolling: Path, shipway: Run, target: str, file: str) -> None:
    for _ in range(2):  # it is shipway's, and written again
        done = shipway("render", target, "--env", "prod", cwd=rolling)
        assert done.returncode == 0, done.stderr
        assert f"deploy/{target}/prod/{file}" in done.stdout.splitlines()
    assert "steps of 5 %, 25 %, 100 %" in done.stderr
