"""schemathesis against a running runtime: requests made from its own OpenAPI document."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.installing import from_pypi
from tests.unit.runtime.conftest import Running, write_agent

pytestmark = pytest.mark.network

SCHEMATHESIS = "schemathesis==4.32.5"
SECONDS = 20
AGENT = """
async def agent(messages, ctx):
    yield "You said: "
    yield messages[-1]["content"]
"""


def test_nothing_is_found(tmp_path: Path) -> None:
    program = from_pypi(tmp_path / "venv", SCHEMATHESIS) / "schemathesis"
    write_agent(tmp_path / "agent", AGENT, {})
    running = Running(tmp_path / "agent", {})
    try:
        running.wait_ready()
        url = f"http://127.0.0.1:{running.ports['API']}/openapi.json"
        options = ("--checks", "all", "--max-examples", "20", "--max-time", str(SECONDS))
        options += ("--no-color", "--no-shrink", "--suppress-health-check", "all")
        options += ("--generation-database", "none")
        done = subprocess.run(
            [program, "run", url, *options], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr
        assert "Traceback" not in running.log()
        assert running.api.get("/ping").json()["status"] == "Healthy"
    finally:
        running.close()
