"""The suites of the examples, asked of their own stacks: real MCP servers, a replayed model and judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.engines.example_stacks import Stack

pytestmark = pytest.mark.network

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/evals"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_case_of_an_example_passes(example: Path, tmp_path: Path) -> None:
    stack = Stack(example, tmp_path / example.name)
    try:
        stack.up()
        done = stack.run("eval", "--json")
    finally:
        stack.close()
    run = json.loads(done.stdout)
    assert [(one["id"], one["marks"]) for one in run["results"] if one["status"] != "passed"] == []
    assert done.returncode == 0, done.stderr
    assert run["judge"] is None or run["judge"]["j"] == 1.0
