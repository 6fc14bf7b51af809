"""What `shipway render nomad` writes, for every example, before the names that Nomad's jobs may have."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.nomad_schema import problems

GOLDEN = sorted(Path("examples").glob("*/golden/nomad/*/*.nomad.hcl"))


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.parts[1])
def test_the_specification_knows_every_name_in_an_example(file: Path) -> None:
    assert problems(file.read_text()) == []


def test_examples_are_found() -> None:
    assert {file.parts[1] for file in GOLDEN} >= {"01-hello", "02-support"}
