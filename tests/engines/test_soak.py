"""A short soak: servers end in every way under load; the agent lives, every call ends well, nothing leaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.alone

SOAK = Path(__file__).parents[2] / "bench/soak.py"
SHORT = (
    "--seconds",
    "6",
    "--every",
    "1.5",
    "--quiet",
    "3",
    "--conversations",
    "4",
    "--seed",
    "3",
    "--late",
    "50",
)


@pytest.fixture(scope="module")
def soaked() -> dict[str, Any]:
    done = subprocess.run(
        (sys.executable, SOAK, *SHORT, "--json"), capture_output=True, text=True, timeout=300
    )
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def test_no_agent_is_lost_and_nothing_leaks(soaked: dict[str, Any]) -> None:
    # Lost: the process, its readiness, a turn, a call that ended in neither a result nor a proper error.
    # Leaks: processes, zombies, threads, descriptors, memory, anything left after SIGTERM.
    assert soaked["failures"] == [], soaked["log"]


def test_it_was_a_soak(soaked: dict[str, Any]) -> None:
    assert sum(soaked["ends"].values()) >= 2
    assert soaked["turns"]["answered"] > 10
    assert soaked["calls"]["ok"] > soaked["calls"].get("error", 0)
    assert soaked["after"]["runtime"]["zombies"] == 0
