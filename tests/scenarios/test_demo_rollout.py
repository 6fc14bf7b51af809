"""`make demo-rollout`, as it is: a worse canary goes back, a good one is promoted, and nothing is lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.network]

DEMO = Path(__file__).parents[2] / "examples/demo_rollout.py"


def test_the_worse_one_goes_back_and_the_better_one_is_promoted() -> None:
    done = subprocess.run((sys.executable, DEMO, "--users", "6"), capture_output=True, text=True, timeout=570)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"r2, a worse prompt +rolled back; found after \d+ of its conversations", done.stdout)
    assert re.search(r"r3, a better prompt +promoted; no worse in \d+ of its conversations", done.stdout)
    assert re.search(r"conversations +\d+, moved: 0\n", done.stdout)
    assert re.search(r"turns +\d+, lost: 0\n", done.stdout)
