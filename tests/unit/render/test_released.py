from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import SpecError
from shipway.render.released import FILE, plan_released
from shipway.spec.load import load
from shipway_runtime import contract

AGENT = 'name = "a"\nentrypoint = "agent:agent"\n[env.prod.config]\nx = 1\n[config]\nx = 2\n'
IMAGES = {"agent": "r/a@sha256:1"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agent.toml").write_text(AGENT)
    return tmp_path


def release(name: str = "a", **images: str) -> str:
    source = contract.Source(None, False)
    return contract.encode(contract.Release("1", name, source, images or IMAGES, None, None, "0123456789ab"))


def written(project: Path, text: str) -> Path:
    (project / FILE).parent.mkdir(exist_ok=True)
    (project / FILE).write_text(text)
    return project


def plan(project: Path, environment: str = "prod", file: Path | None = None) -> object:
    return plan_released(load(project / "agent.toml", environment), environment, project, file)


def test_the_last_build_is_what_is_deployed(project: Path) -> None:
    found = plan_released(load(project / "agent.toml", "prod"), "prod", written(project, release()), None)
    assert (found.agent.image, str(found.revision)[:13]) == ("r/a@sha256:1", "0123456789ab-")


def test_development_has_what_this_machine_has_built_under_its_name(project: Path) -> None:
    found = plan_released(load(project / "agent.toml"), "development", written(project, release()), None)
    assert (found.agent.image, found.revision) == ("a", None)


def test_a_release_that_was_named_has_to_be_there_even_in_development(project: Path) -> None:
    with pytest.raises(SpecError, match="there is no release in"):
        plan(project, "development", project / "other.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no release in .*, and what is deployed is named by its digest"),
        ("{", "cannot be read: .*not JSON"),
        (release("b"), "is a release of b, and this is a"),
        (release(other="r/x@sha256:2"), "has no image agent: agent.toml has changed since it was built"),
    ],
)
def test_what_is_no_release_of_this_stack_is_refused(project: Path, text: str | None, message: str) -> None:
    if text is not None:
        written(project, text)
    with pytest.raises(SpecError, match=message) as caught:
        plan(project)
    assert "run `shipway build --push`" in str(caught.value)
