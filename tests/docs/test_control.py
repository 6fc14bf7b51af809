"""docs/reference/control.md: every path of the server is on it, and its examples do what they say."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.controlling import TOKENS, ControlProcess

from shipway.control.app import PATHS
from shipway.rollout_snapshot import (
    GateSeen,
    Known,
    Line,
    MetricSeen,
    Order,
    RevisionSeen,
    Snapshot,
    StepSeen,
)

PAGE = Path(__file__).parents[2] / "docs/reference/control.md"
WORDS = {"{id}": "ID", "{canary}": "CANARY", "{conversation}": "ID"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", PAGE.read_text())


@pytest.mark.parametrize("line", PATHS, ids=lambda line: f"{line.method} {line.path}")
def test_every_path_is_on_it(line):
    path = line.path
    for name, word in WORDS.items():
        path = path.replace(name, word)
    [row] = [row for row in PAGE.read_text().splitlines() if re.match(rf"\|.*`{line.method} {path}[`?]", row)]
    if line.roles:
        role = "any" if len(line.roles) == 3 else line.roles[0]
        assert f"| {role} |" in row


def test_its_examples_are_answered(tmp_path):
    """Those that ask control alone, in their order, in one shell."""
    control = ControlProcess(tmp_path)
    asked = [block for block in blocks("sh") if "$CONTROL" in block or block.startswith("Q=")]
    script = "set -e\n" + "".join(block for block in asked if "nomad" not in block)
    env = {"PATH": os.environ["PATH"], "CONTROL": control.url}
    env |= {role.upper(): token for role, token in TOKENS.items()}
    try:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", script], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        for told in (
            '{"kill":{"tools":["refund"]}}',
            '"by":"operate-of-tests"',
            '"verdict":"inconclusive"',
            "refund-1",
        ):
            assert told in done.stdout
        examples = set(re.findall(r"/v1/[a-z]+", script))
        assert examples == {re.match(r"/v1/[a-z]+", line.path)[0] for line in PATHS if line.roles}
    finally:
        control.close()


@pytest.mark.parametrize("kind", [Snapshot, RevisionSeen, StepSeen, GateSeen, MetricSeen, Line, Order, Known])
def test_every_key_of_a_rollout_is_on_it(kind):
    words = set(re.findall(r"`\"?(\w+)\"?`|\"(\w+)\"", PAGE.read_text()))
    named = {word for pair in words for word in pair}
    assert {one.name for one in dataclasses.fields(kind)} - {"format"} <= named


def test_every_metric_is_on_it(tmp_path):
    control = ControlProcess(tmp_path)
    try:
        families = re.findall(r"# TYPE (shipway_\w+)", control.ask(None, "GET", "/metrics").text)
    finally:
        control.close()
    said = set(re.findall(r"\| `(shipway_control_\w+)` \|", PAGE.read_text()))
    assert said == set(families)


def test_what_engines_are_given_can_be_read():
    documents = [yaml.safe_load(block) for block in blocks("yaml")]
    assert [document["kind"] for document in documents] == ["AnalysisTemplate", "Job"]
    for block in blocks("python"):
        compile(block, "hook.py", "exec")
    for block in blocks("sh"):
        assert subprocess.run(["bash", "-n"], input=block, text=True).returncode == 0
