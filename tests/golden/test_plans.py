"""Every example's plans and rendered files against its golden ones; `make golden` writes them again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipway.plan import codec
from shipway.plan.image import ImagePlan, plan_images
from shipway.plan.stack import StackPlan, plan_stack
from shipway.render import dockerfile
from shipway.spec.load import load
from shipway.spec.lock import read_lock
from shipway.spec.project import read_project

EXAMPLES = sorted(path.parent for path in Path("examples").glob("*/agent.toml"))
GOLDEN = {"image.json": tuple[ImagePlan, ...], "stack.json": StackPlan}


def rendered(example: Path) -> dict[str, str]:
    """Texts that a plan alone decides; the manifest is in the plan already, pins are no part of them."""
    loaded = load(example / "agent.toml")
    files = dockerfile.render(plan_images(loaded, read_project(loaded), read_lock(example)))
    return {name: text for name, text in files.items() if not name.startswith(dockerfile.CONTEXT)}


def plans(example: Path) -> dict[str, object]:
    loaded = load(example / "agent.toml")
    return {
        "image.json": plan_images(loaded, read_project(loaded), read_lock(example)),
        "stack.json": plan_stack(loaded),
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_plans_are_golden(example: Path) -> None:
    directory = example / "golden"
    for name, plan in plans(example).items():
        text = codec.encode(plan)
        assert codec.decode(GOLDEN[name], text) == plan
        compare(directory / name, text)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_rendered_files_are_golden(example: Path) -> None:
    for name, text in rendered(example).items():
        compare(example / "golden" / name, text)


def compare(file: Path, text: str) -> None:
    if os.environ.get("SHIPWAY_WRITE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text, "make golden, and read the difference"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_no_golden_file_is_an_orphan(example: Path) -> None:
    assert {path.name for path in (example / "golden").iterdir()} == {*GOLDEN, *rendered(example)}


def test_examples_are_found() -> None:
    assert {path.name for path in EXAMPLES} >= {"01-hello", "02-support"}
