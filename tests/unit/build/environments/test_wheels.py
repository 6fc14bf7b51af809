"""Which wheels share a layer: stable under upgrades and new members, and never too many layers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.build.cache import Cache
from shipway.build.environments.bytecode import interpreter_in
from shipway.build.environments.wheels import GROUPS, HEAVY, MOST_HEAVY, Part, _Environment, arrange
from shipway.build.toolchain import Toolchain
from shipway.plan.image import Environment, Python

names = st.text("abcdefgh-", min_size=1, max_size=12)
trees = st.dictionaries(names, st.integers(0, 3 * HEAVY), max_size=80)


def parts(sizes: dict[str, int]) -> list[Part]:
    return arrange(dict.fromkeys(sizes, "1"), sizes, "rest")


@given(trees)
def test_each_distribution_is_in_one_part(sizes: dict[str, int]) -> None:
    members = [member for part in parts(sizes) for member in part.members]
    assert sorted(members) == sorted(sizes)
    assert len(parts(sizes)) <= MOST_HEAVY + GROUPS


@given(trees, names, st.integers(0, HEAVY - 1))
def test_a_new_small_member_changes_one_part_alone(sizes: dict[str, int], name: str, size: int) -> None:
    before = {k: v for k, v in sizes.items() if k != name}
    old, new = parts(before), parts(before | {name: size})
    changed = [part for part in new if part not in old]
    assert len(changed) == 1
    assert name in changed[0].members


@given(trees)
def test_a_heavy_one_is_alone(sizes: dict[str, int]) -> None:
    heavy = sorted((n for n in sizes if sizes[n] >= HEAVY), key=lambda n: (-sizes[n], n))[:MOST_HEAVY]
    alone = [part for part in parts(sizes) if part.name.endswith(" 1")]
    assert [part.members for part in alone] == [(name,) for name in heavy]


def test_the_layer_of_a_heavy_one_says_its_version() -> None:
    assert arrange({"torch": "2.1"}, {"torch": HEAVY}, "x") == [Part("torch 2.1", ("torch",))]


def toolchain(cache: Path, python: Python, compiled_by: str = "3.13.5") -> Toolchain:
    interpreter = interpreter_in(cache, "amd64")
    return Toolchain("linux/amd64", python, (), interpreter, compiled_by, Cache(cache), print, cache)


def test_no_name_of_a_distribution_hides_what_else_a_layer_depends_on(tmp_path: Path) -> None:
    pins = {name: f"{name}==1 --hash=sha256:ab" for name in ("place", "platform", "script", "tree")}
    tools = toolchain(tmp_path, Python())
    environment = _Environment(Environment("e", "/app/mcp/x", script="run"), pins, tools, False)
    inputs = environment._inputs(Part("all", tuple(pins)))
    assert {"/app/mcp/x", tools.target, "run", "3.13.5"} <= set(inputs.values())
    assert set(pins) <= set(inputs)
    assert len(inputs) == len(pins) + 4


@pytest.mark.parametrize("compiled_by", ["3.13.5", ""])
@pytest.mark.parametrize(
    "other",
    [
        Python(libc="glibc 2.28"),  # of the wheels of a pin, uv takes others
        Python(libc="musl 1.2.5"),
        Python("/usr/bin/python3.13", "3.12"),  # site-packages is elsewhere, also where nothing is compiled
    ],
)
def test_bases_for_which_uv_chooses_other_wheels_share_no_layer(
    tmp_path: Path, other: Python, compiled_by: str
) -> None:
    pins = {"six": "six==1 --hash=sha256:ab --hash=sha256:cd"}
    parts = (Part("environment", ()), Part("six 1", ("six",)))
    environment = Environment("e", "/app/.venv", split=True)
    ours, theirs = (
        [
            _Environment(environment, pins, toolchain(tmp_path, python, compiled_by), False)._inputs(part)
            for part in parts
        ]
        for python in (Python(), other)
    )
    assert all(one != another for one, another in zip(ours, theirs, strict=True))
