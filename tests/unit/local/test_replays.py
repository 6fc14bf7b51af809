"""Where a project's replays are, what they depend on, and what a start says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipway.errors import SpecError
from shipway.local import replays
from shipway.spec.load import load

TOML = """\
name = "support"
entrypoint = "agent:agent"
prompts = "prompts"

[model]
provider = "anthropic"
name = "claude-sonnet-5"
fallbacks = ["claude-haiku-5"]

[tenants.acme.model]
name = "claude-opus-5"

[env.prod.model]
name = "claude-opus-4"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for directory in ("prompts", "replays/sub"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "agent.toml").write_text(TOML)
    (tmp_path / "prompts/system.md").write_text("x")
    return tmp_path


def record(project: Path, file: str, model: str) -> None:
    request = {"method": "POST", "path": "/v1/messages", "body": {"model": model}}
    exchange = {"request": request, "response": {"body": {}}, "meta": {"model": model}}
    (project / "replays" / file).write_text(json.dumps(exchange))


def test_what_recordings_depend_on_is_that_of_development(project: Path) -> None:
    now = replays.find(project).now()
    assert now
    assert (now.model, now.directory, dict(now.prompts)) == ("claude-sonnet-5", "prompts", {"system.md": "x"})
    assert now.others == {"claude-sonnet-5", "claude-haiku-5", "claude-opus-5"}
    assert now.oldest is None


@pytest.mark.parametrize("directory", [".", "replays"])
def test_a_project_and_its_replays_are_the_same(
    project: Path, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    found = replays.find(Path(directory))
    assert found.project
    assert found.directory.resolve() == project / "replays"
    assert found.project.resolve() == project


def test_a_directory_without_a_project(project: Path) -> None:
    found = replays.find(project / "replays/sub")
    assert (found.project, found.now(), found.runs().runs) == (None, None, ())
    with pytest.raises(SpecError, match="is not a directory"):
        replays.find(project / "nowhere")


def test_a_start_says_how_many_are_stale(project: Path) -> None:
    loaded = load(project)
    assert list(replays.remark(loaded)) == []
    record(project, "a.json", "claude-haiku-5")
    record(project, "b.json", "claude-opus-4")
    assert list(replays.remark(loaded)) == ["stale recordings: 1 of 2; `shipway replay verify` says why"]
    (project / "replays/c.json").write_text("{")
    assert list(replays.remark(loaded)) == []  # the replay says what is wrong with it, and does not start


def test_a_start_does_not_read_thousands(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "_FEW", 2)
    for number in range(3):
        record(project, f"{number}.json", "claude-opus-4")
    assert list(replays.remark(load(project))) == []
