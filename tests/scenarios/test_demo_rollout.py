"""`make demo-rollout`, as it is: a worse canary goes back, a good one is promoted, and nothing is lost."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.network]

DEMO = Path(__file__).parents[2] / "examples/demo_rollout.py"


@pytest.mark.parametrize("on", [pytest.param("docker", marks=pytest.mark.docker), "processes"])
def test_the_worse_one_goes_back_and_the_better_one_is_promoted(
    on: str, engine: Callable[[str], str]
) -> None:
    if on == "docker":
        engine("docker")
    command = (sys.executable, DEMO, "--users", "6", "--on", on)
    done = subprocess.run(command, capture_output=True, text=True, timeout=570)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"r2, a worse prompt +rolled back; found after \d+ of its conversations", done.stdout)
    assert re.search(r"r3, a better prompt +promoted; no worse in \d+ of its conversations", done.stdout)
    assert re.search(r"conversations +\d+, moved: 0\n", done.stdout)
    assert re.search(r"turns +\d+, lost: 0\n", done.stdout)
