"""Every example's plans and rendered files against its golden ones; `make golden` writes them again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from shipway.errors import SpecError
from shipway.plan import codec
from shipway.plan.image import ImagePlan, plan_images
from shipway.plan.rollout import RolloutPlan, plan_rollout
from shipway.plan.stack import DEVELOPMENT, StackPlan, plan_stack, released
from shipway.render import compose, dockerfile, kubernetes
from shipway.render.ecs import files as ecs
from shipway.render.emit import Rendered
from shipway.render.nomad import files as nomad
from shipway.render.targets.expressions import Engine, Target
from shipway.render.targets.judging import judge
from shipway.spec.load import load
from shipway.spec.lock import read_lock
from shipway.spec.project import read_project
from shipway_runtime import contract

EXAMPLES = sorted(path.parent for path in Path("examples").glob("*/agent.toml"))
GOLDEN = {"image.json": tuple[ImagePlan, ...], "stack.json": StackPlan}


Renderer = Callable[[StackPlan, RolloutPlan | None], Rendered]
RENDERERS: dict[Engine, tuple[Target, Renderer]] = {
    "compose": ("compose", lambda plan, _: compose.render(plan)),
    "kubernetes": ("kubernetes", lambda plan, _: kubernetes.render(plan)),
    "argo": ("kubernetes", lambda plan, rollout: kubernetes.render(plan, rollout=rollout)),
    "ecs": ("ecs", ecs.render),
    "nomad": ("nomad", nomad.render),
}
"""Directories of golden files; `argo` is of examples with [rollout]."""
RELEASED = contract.Source("0123456789abcdef0123456789abcdef01234567", False)


def rendered(example: Path) -> dict[str, str]:
    """Texts that a plan alone decides; the manifest is in the plan already, pins are no part of them."""
    loaded = load(example / "agent.toml")
    built = dockerfile.render(plan_images(loaded, read_project(loaded), read_lock(example)))
    own = {name: text for name, text in built.items() if not name.startswith(dockerfile.CONTEXT)}
    return own | dict(stacks(example))


def stacks(example: Path) -> Iterator[tuple[str, str]]:
    """The files of each engine and environment."""
    file = example / "agent.toml"
    declared = tuple(load(file).spec.env)
    for engine in RENDERERS:
        for environment in environments(engine, declared):
            loaded = load(file, environment if environment in declared else None)
            rollout = plan_rollout(loaded.spec, environment) if loaded.spec.rollout else None
            if engine == "argo" and not rollout:
                continue
            plan = plan_stack(loaded, environment)
            plan = plan if environment in (DEVELOPMENT, *declared) else _behind_a_gateway(plan)
            plan = plan if environment == DEVELOPMENT else released(plan, release(plan))
            for name, text in files(plan, rollout, engine).items():
                yield f"{engine}/{environment}/{name}", text


def _behind_a_gateway(plan: StackPlan) -> StackPlan:
    """A prod that the example does not declare: who may call is said somewhere else."""
    settings = plan.config.settings
    settings = replace(settings, api=replace(settings.api, auth="none"))
    return replace(plan, config=replace(plan.config, settings=settings))


def environments(engine: Engine, declared: tuple[str, ...]) -> tuple[str, ...]:
    """Development runs under Compose; elsewhere it is what the example declares, or a prod like it."""
    return (DEVELOPMENT, *declared) if engine == "compose" else declared or ("prod",)


def files(plan: StackPlan, rollout: RolloutPlan | None, engine: Engine) -> dict[str, str]:
    """What is written, or why nothing is."""
    target, render = RENDERERS[engine]
    try:
        judge(plan, target, rollout, engine)
    except SpecError as refused:
        return {"refused.txt": f"{refused}\n"}
    found = render(plan, rollout)
    return {**found.owned, **found.once}


def release(plan: StackPlan) -> contract.Release:
    """One that could have been built: a digest is that of the name."""
    roles = {"agent": plan.agent.image}
    roles |= {
        f"mcp-{server.name}": server.image for server in (*plan.sidecars, *plan.apart) if server.program
    }
    roles |= {"control": plan.control.image.partition(":")[0]} if plan.control else {}
    images = {role: f"{name}@sha256:{sha256(name.encode()).hexdigest()}" for role, name in roles.items()}
    return contract.Release("0.1.0", plan.name, RELEASED, images, None, None, "0123456789ab")


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
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text)
    assert file.read_text() == text, "make golden, and read the difference"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_no_golden_file_is_an_orphan(example: Path) -> None:
    golden = example / "golden"
    found = {str(path.relative_to(golden)) for path in golden.rglob("*") if path.is_file()}
    assert found == {*GOLDEN, *rendered(example)}


def test_examples_are_found() -> None:
    assert {path.name for path in EXAMPLES} >= {"01-hello", "02-support"}
