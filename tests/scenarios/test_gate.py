"""`shipway gate` on files that something else has written."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.conftest import Run

SHIPWAY = Path(sys.executable).with_name("shipway")


def write(path: Path, canary: float, turns: int = 3000, **fields: Any) -> Path:
    chance = random.Random(1)
    lines = []
    for number in range(turns):
        new = number > 50 and chance.random() < 0.25
        status = "ok" if chance.random() < (canary if new else 0.95) else "error"
        revision = "r2" if new else "r1"
        line = {"conversation": f"c{number}", "revision": revision, "status": status, "started": number}
        lines.append(json.dumps(line | fields))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("canary", "margin", "verdict", "code"),
    [(0.7, "errors", "fail", 3), (0.95, "errors=0.08", "pass", 0), (0.95, "errors=0.001", "inconclusive", 4)],
)
def test_the_exit_code_is_the_verdict(
    shipway: Run, tmp_path: Path, canary: float, margin: str, verdict: str, code: int
) -> None:
    write(tmp_path / "turns.ndjson", canary)
    done = shipway("gate", "turns.ndjson", "--margin", margin, cwd=tmp_path)
    assert (done.returncode, done.stdout.partition(":")[0]) == (code, verdict), done.stderr
    assert done.stderr == "r2 is the later revision and so the canary, r1 is stable\n"


def test_json_is_the_judgement(shipway: Run, tmp_path: Path) -> None:
    write(tmp_path / "turns.ndjson", 0.7)
    done = shipway("gate", "turns.ndjson", "--canary", "r2", "--stable", "r1", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr, found["verdict"], found["threshold"]) == (3, "", "fail", 20.0)
    assert found["evidence"] >= found["threshold"]
    assert found["metrics"][0]["canary"]["conversations"] == found["canary"]
    assert found["counts"]["bad lines"] == 0


def test_bad_lines_are_told_and_counted(tmp_path: Path) -> None:
    """From stdin, among lines of a log."""
    text = write(tmp_path / "turns.ndjson", 0.7).read_text()
    done = subprocess.run(
        (SHIPWAY, "gate", "-", "--json"),
        input=f"starting\n{text}{{}}\n",
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert "<stdin>:1: expected a JSON object, saw 'starting'" in done.stderr
    assert "<stdin>:3002: `conversation` is missing" in done.stderr
    assert "2 of 3002 lines are no outcomes and were left out" in done.stderr
    assert (done.returncode, json.loads(done.stdout)["counts"]["bad lines"]) == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--margin", "speed"), "--margin speed: expected one of errors, latency, live, cost, tools"),
        (("--margin", "errors=two"), "'two' is no number; 0.02 is two points"),
        (("--margin", "errors=2"), "the margin of errors is 2, expected 0 or more and less than 1"),
        (("--canary", "r9"), "--canary r9: no outcome has this revision; there are r1, r2"),
        (("--canary", "r1", "--stable", "r1"), "canary and stable are the same revision"),
        (("--alpha", "5"), "alpha is 5, expected more than 0 and less than 1"),
        (("--margin", "latency"), "has no outcome in 3000 lines"),
    ],
)
def test_a_mistake_is_told(shipway: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    write(tmp_path / "turns.ndjson", 0.95)
    done = shipway("gate", "turns.ndjson", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_one_revision_cannot_be_compared(shipway: Run, tmp_path: Path) -> None:
    (tmp_path / "turns.ndjson").write_text('{"conversation": "a", "revision": "r1", "status": "ok"}\n')
    done = shipway("gate", "turns.ndjson", cwd=tmp_path)
    assert done.returncode == 2
    assert "expected outcomes of two revisions, saw r1: say --canary and --stable" in done.stderr


def test_a_file_that_is_not_there(shipway: Run, tmp_path: Path) -> None:
    done = shipway("gate", "turns.ndjson", cwd=tmp_path)
    assert done.returncode == 2
    assert "No such file" in done.stderr
