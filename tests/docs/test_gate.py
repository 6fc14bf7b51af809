"""docs/reference/gate.md: its example is run, and its tables are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

from tests.outcomes import outcome, plan

from shipway.gate import METRICS
from shipway.gate.forecast import Step, forecast
from shipway.gate.judgement import Why
from shipway.gate.lines import NEEDED

PAGE = Path("docs/reference/gate.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
STEPS = (Step(0.05, 3600.0), Step(0.25, 3600.0), Step(1.0))


def rows(heading: str) -> dict[str, list[str]]:
    """The table of a section: first cell -> the others."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if "|" in line[:1]
    ]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_the_worked_example_is_true(tmp_path: Path) -> None:
    subprocess.run((sys.executable, "-c", PROGRAMS[0]), cwd=tmp_path, check=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    codes = []
    for step in re.findall(r"```console\n\$ (.*?)```", PAGE, re.DOTALL):
        command, _, expected = step.partition("\n")
        done = subprocess.run(
            f"({command}) 2>&1",
            shell=True,
            cwd=tmp_path,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert done.stdout == expected
        codes.append(done.returncode)
    assert codes == [4, 3]


def test_the_library_is_used_as_it_says() -> None:
    there: dict[str, Any] = {}
    exec(compile(PROGRAMS[1], "gate.md", "exec"), there)
    for number in range(400):
        canary = number % 4 == 0
        turn = outcome(f"c{number}", revision="v2" if canary else "v1", status="error" if canary else "ok")
        there["turn_ended"](turn)
    assert there["verdict"](1100.0) == "inconclusive"
    assert there["verdict"](9000.0) == "fail"


def test_metrics_and_margins() -> None:
    table = rows("What is compared")
    assert {name: float(table[name][1]) for name in METRICS} == {
        name: one.margin for name, one in METRICS.items()
    }


def test_every_reason_has_a_row() -> None:
    section = PAGE.split("\n## What it says\n")[1]
    assert [why for why in get_args(Why) if f"| `{why}` |" not in section] == []


def test_every_key_that_a_metric_needs_is_there() -> None:
    table = rows("From another system")
    keys = set(re.findall(r"\w+", " ".join(table)))
    assert {key for needed in NEEDED.values() for key in needed} <= keys
    assert {f"`{metric}`" for metric in NEEDED} <= {cells[-1] for cells in table.values()}


def test_the_forecasts_are_real() -> None:
    told = " ".join(PAGE.replace("\n> ", " ").split())
    for per_hour, means in ((10_000, {"errors": 0.98}), (20 / 24, {})):
        assert forecast(plan(errors=None), STEPS, per_hour, means).words in told
