from __future__ import annotations

from pathlib import Path

import pytest
from tests.stacks import desk

from shipway.render.ecs import fargate
from shipway.render.ecs.fargate import Size


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ((1, 1), (256, 512)),
        ((256, 512), (256, 512)),
        ((257, 512), (512, 1024)),
        ((256, 513), (256, 1024)),
        ((256, 2049), (512, 3072)),
        ((1024, 8193), (2048, 9216)),
        ((4096, 30721), (8192, 32768)),
        ((8192, 61441), (16384, 65536)),
        ((16384, 122880), (16384, 122880)),
    ],
)
def test_the_smallest_size_that_holds_it(asked: tuple[int, int], got: tuple[int, int]) -> None:
    assert fargate.size(Size(*asked)) == Size(*got)


@pytest.mark.parametrize("asked", [(16385, 512), (256, 122881)])
def test_above_all_of_them_there_is_none(asked: tuple[int, int]) -> None:
    assert fargate.size(Size(*asked)) is None


def test_units_and_mebibytes_are_rounded_up() -> None:
    assert (fargate.units(1), fargate.units(100), fargate.units(1000)) == (2, 103, 1024)
    assert (fargate.mebibytes(1), fargate.mebibytes(1024**2), fargate.mebibytes(1024**2 + 1)) == (1, 1, 2)


def test_a_task_asks_for_all_that_runs_in_it(tmp_path: Path) -> None:
    """The agent, a sidecar that says what it needs, one that does not, and Service Connect's proxy."""
    plan = desk(tmp_path)
    assert fargate.agent_size(plan) == Size(103 + 52 + 0 + 256, 512 + 100 + 64 + 64)
    assert fargate.server_size(plan.apart[0]) == Size(256, 64 + 64)
