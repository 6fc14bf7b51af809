"""A stack with its control under real Docker Compose, by the road that a user goes: what is set reaches the
agent, what its turns came to reaches control, and a control that is away loses nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.compose import SHIPWAY, Compose, shipway
from tests.conftest import _engine
from tests.engines.test_compose import second  # noqa: F401
from tests.ports import free_port

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.long]

TOML = """\
name = "harbour"
entrypoint = "harbour:agent"
[image]
repository = "{registry}/team/harbour"
[storage]
path = "/data"
[policy]
requests = "600/min"
[env.prod.api]
auth = "none"
"""
AGENT = """\
async def agent(messages, ctx):
    return "aye"
"""
WHO = {"name": "harbour", "environment": "prod"}
REPORT, OPERATE = "a-token-that-agents-show", "a-token-that-people-show"


class Stack(Compose):
    """With its control."""

    control: str

    def fill_in(self, **values: str) -> None:
        text = (self.directory / ".env").read_text()
        for name, value in values.items():
            text = re.sub(f"(?m)^#? ?{name}=.*", f"{name}={value}", text)
        (self.directory / ".env").write_text(text)

    def read(self, path: str) -> Any:
        headers = {"authorization": f"Bearer {OPERATE}"}
        return httpx2.get(f"{self.control}{path}", params=WHO, headers=headers, timeout=20).json()

    def turns(self) -> int:
        """As control has counted them."""
        return sum(int(revision["turns"]) for revision in self.read("/v1/fleet")["revisions"])

    def post(self) -> int:
        return httpx2.post(f"{self.api}/v1/responses", json={"input": "hi"}, timeout=60).status_code


@pytest.fixture
def stack(
    second: str,  # noqa: F811
    registry: Callable[..., str],
    tmp_path: Path,
) -> Iterator[Stack]:
    (tmp_path / "agent.toml").write_text(TOML.format(registry=registry()))
    (tmp_path / "harbour.py").write_text(AGENT)
    shipway("build", "--push", cwd=tmp_path)
    shipway("control", "image", "--push", cwd=tmp_path)
    shipway("render", "compose", "--env", "prod", cwd=tmp_path)
    found = Stack(second, _engine("docker"), tmp_path / "deploy/compose/prod")
    found.take(free_port(), free_port())
    port = free_port()
    found.control = f"http://127.0.0.1:{port}"
    found.fill_in(CONTROL_PORT=str(port), CONTROL_REPORT_TOKEN=REPORT, CONTROL_OPERATE_TOKEN=OPERATE)
    found.hurry("agent", "control")
    try:
        found("up", "-d")
        found.wait_until_ready()
        yield found
    finally:
        images = found("config", "--images").splitlines()
        found.down()
        assert found.left() == []
        subprocess.run((found.docker, "rmi", "--force", *images), capture_output=True)


def policy(stack: Stack, *words: str) -> str:
    """`shipway policy`, where a person sits: in the project, with their own token."""
    environ = os.environ | {"SHIPWAY_CONTROL_URL": stack.control, "SHIPWAY_CONTROL_TOKEN": OPERATE}
    project = stack.directory.parents[2]
    done = subprocess.run(
        (SHIPWAY, "policy", *words, "--env", "prod"),
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_policy_goes_out_outcomes_come_in_and_nothing_is_lost_while_control_is_away(stack: Stack) -> None:
    assert "nobody has put a policy there" in policy(stack, "show")  # agent.toml's own holds
    assert stack.post() == 200
    stack.until(lambda: stack.turns() == 1)

    said = policy(stack, "set", "--kill", "all", "--reason", "INC-7")
    assert "operator: INC-7" in said
    assert "kill all, requests=600/min" in said
    assert "in force" in said
    assert stack.post() == 503
    assert "requests=600/min" in policy(stack, "clear", "--kill", "all")
    assert [stack.post() for _ in range(3)] == [200] * 3
    counted = 5  # the one that was denied is an outcome, too
    stack.until(lambda: stack.turns() == counted)

    stack("stop", "control")
    assert [stack.post() for _ in range(4)] == [200] * 4
    stack("start", "control")
    stack.until(lambda: stack.turns() == counted + 4)
    versions = stack.read("/v1/policy/versions")
    assert [version["version"] for version in versions] == [2, 1]

    before = stack.container("control")
    stack.kill("control")  # Docker starts it again
    assert [stack.post() for _ in range(2)] == [200] * 2
    stack.until(lambda: stack.turns() == counted + 6)
    assert stack.container("control") == before
    stack.until(lambda: stack.inspect("control")["State"]["Health"]["Status"] == "healthy")


def test_where_the_fleets_control_is_elsewhere_there_is_no_second_one(stack: Stack) -> None:
    """Here there is none at all: an empty URL. The agent's own policy holds."""
    stack.fill_in(CONTROL_URL="")
    override = stack.directory / "compose.override.yaml"
    override.write_text("services: {control: {scale: 0}}\n")
    stack("up", "-d")
    stack.wait_until_ready()
    assert stack("ps", "-q", "control") == ""
    assert stack.post() == 200
    assert "SHIPWAY_CONTROL_URL=" in stack.inspect("agent")["Config"]["Env"]
