"""`shipway check`, and shared bases, as people use and misuse them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.scenarios.conftest import Run

Write = Callable[[Mapping[str, str]], Path]
AGENT = "async def agent(messages, ctx):\n    return 'x'\n"
SPEC = 'name = "a"\nentrypoint = "agent:agent"\n'
ON_BASE = SPEC + '[image]\nbase = "./base/.shipway/base"\n'


def test_a_project_that_is_right(shipway: Run, project: Write) -> None:
    done = shipway("check", cwd=project({"agent.py": AGENT, "agent.toml": SPEC}))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing found\n")


def test_every_family_says_its_findings_at_once(shipway: Run, project: Write) -> None:
    key = "sk-ant-api03-" + "Ab3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7b" * 2
    files = {
        "agent.py": f"{AGENT}KEY = '{key}'\n",
        "agent.toml": SPEC + '[image]\nca = "ca.pem"\n',
        "shipway.lock": 'version = 1\n\n[tools]\nshipway = "0.0.1"\n',
    }
    done = shipway("check", "--json", cwd=project(files))
    assert done.returncode == 2
    found = {(f["rule"], f["file"]) for f in json.loads(done.stdout)}
    assert found >= {
        ("lock-stale", "shipway.lock"),
        ("secret-in-file", "agent.py"),
        ("image-ca", "ca.pem"),
    }
    assert key not in done.stdout


def test_what_is_wrong_with_agent_toml_is_said_in_the_same_way(shipway: Run, project: Write) -> None:
    done = shipway("check", "--json", cwd=project({"agent.py": AGENT, "agent.toml": SPEC + "nme = 1\n"}))
    assert done.returncode == 2
    assert [f["rule"] for f in json.loads(done.stdout)] == ["unknown-key"]


@pytest.mark.network
def test_agents_on_a_shared_base_add_only_what_is_missing(shipway: Run, project: Write) -> None:
    root = project(
        {
            "agent.py": AGENT,
            "agent.toml": ON_BASE,
            "requirements.txt": "six\nmsgspec==0.20.0\n",
            "base/agent.toml": 'name = "team-base"\n',
            "base/requirements.txt": "six==1.16.0\n",
        }
    )
    made = shipway("build", "--base-only", "-t", "team/agent-base", cwd=root / "base")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("team/agent-base@sha256:")
    assert not (root / "base/.shipway/release.json").exists(), "a base is no release"
    built = shipway("build", cwd=root)
    assert built.returncode == 0, built.stderr
    (layers,) = json.loads((root / ".shipway/layers.json").read_text()).values()
    assert any("msgspec" in layer for layer in layers)
    assert not any("six" in layer for layer in layers), "it may be any version, so it is the base's"
    assert shipway("check", cwd=root).returncode == 0
    (root / "requirements.txt").write_text("six==1.17.0\n")
    done = shipway("check", cwd=root)
    assert done.returncode == 2
    assert "the project wants six 1.17.0, and the base ./base/.shipway/base has 1.16.0" in done.stdout
    assert shipway("build", cwd=root).returncode == 2


@pytest.mark.network
def test_a_lock_pins_the_layout_that_an_agent_stands_on(shipway: Run, project: Write) -> None:
    root = project(
        {
            "agent.py": AGENT,
            "agent.toml": ON_BASE,
            "base/agent.toml": 'name = "team-base"\n',
        }
    )
    assert shipway("build", "--base-only", cwd=root / "base").returncode == 0
    assert shipway("lock", cwd=root).returncode == 0
    first = shipway("build", "--locked", cwd=root)
    assert first.returncode == 0, first.stderr
    assert shipway("build", "--locked", cwd=root).stdout == first.stdout
    (root / "base/requirements.txt").write_text("six==1.17.0\n")
    assert shipway("build", "--base-only", cwd=root / "base").returncode == 0
    moved = shipway("build", "--locked", cwd=root)
    assert moved.returncode == 1
    assert "the base ./base/.shipway/base is sha256:" in moved.stderr
    assert "run `shipway lock --upgrade`" in moved.stderr


def test_a_base_that_is_no_layout(shipway: Run, project: Write) -> None:
    done = shipway("build", cwd=project({"agent.py": AGENT, "agent.toml": ON_BASE}))
    assert done.returncode == 1
    assert "the base ./base/.shipway/base is no OCI layout" in done.stderr
    assert "Traceback" not in done.stderr
