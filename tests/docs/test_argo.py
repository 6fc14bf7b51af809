"""docs/reference/argo.md: its steps are those that are rendered; its files, Secrets and image are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes import find
from tests.rollouts import STEPS, planned

from shipway.render.emit import Rendered
from shipway.render.kubernetes import render

PAGE = (Path(__file__).parents[2] / "docs/reference/argo.md").read_text()


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    """Of the steps that the page shows."""
    (steps,) = re.findall(r"`(steps = \[.*?\])` with gates for evals and errors", PAGE)
    plan, rollout = planned(tmp_path, (STEPS, steps))
    return render(plan, rollout=rollout)


def words(step: dict[str, Any]) -> str:
    """A step as the page writes it."""
    ((kind, said),) = step.items()
    if kind == "analysis":
        return str(said["templates"][0]["templateName"])
    if kind == "setWeight":
        return f"setWeight: {said}"
    ((key, value),) = said.items()
    return f"{kind}: {key if value is True else value}"


def test_the_steps_are_those_that_are_rendered(rendered: Rendered) -> None:
    rows = PAGE[PAGE.index("| step | |") : PAGE.index("From the first weight on")].strip().splitlines()
    told = [word for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])]
    steps = find(rendered, "Rollout")["spec"]["strategy"]["canary"]["steps"]
    assert told == [words(step) for step in steps]


def test_the_files_are_there(rendered: Rendered) -> None:
    table = PAGE[PAGE.index("| in `base/` | |") : PAGE.index("**Moving from a Deployment**")]
    for name in re.findall(r"^\| `([a-z/.]+)` \|", table, re.MULTILINE):
        assert f"base/{name}" in rendered.owned


def test_the_secrets_and_the_image_are_those_that_are_asked_for(rendered: Rendered) -> None:
    text = rendered.owned["base/analysis.yaml"]
    for name in re.findall(r"create secret generic ([a-z-]+)", PAGE):
        assert f"name: {name}\n" in text
    (image,) = re.findall(r"docker build -t (\S+):", PAGE)
    assert f"image: {image}:0123456789ab\n" in text
    assert "workingDir: /project" in text
