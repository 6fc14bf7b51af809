"""`shipway policy --env`: a real control, and real processes that ask it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.controlling import TOKENS, ControlProcess
from tests.ports import free_port

from shipway.cli.policy import command
from shipway.errors import ControlError
from shipway.local.fleet import Fleet
from shipway_runtime.contract import NO_POLICY, Kill, Policy, ReplicaReport, encode

HELLO = "async def agent(messages, ctx): return 'ok'"
LIMITS = {"limits": {"requests": [600, 60]}}
TOML = 'name = "test"\nentrypoint = "agent:agent"\n[policy]\nrequests = "600/min"\n'
BOUND_S = 30.0


@pytest.fixture
def control(tmp_path):
    found = ControlProcess(tmp_path)
    yield found
    found.close()


@pytest.fixture
def policy(control, tmp_path):
    (tmp_path / "agent.toml").write_text(TOML)
    (tmp_path / "agent.py").write_text(HELLO)

    def run(*words: str, role: str = "operate", url: str | None = None):
        place = ("--env", "development", "-C", str(tmp_path))
        env = {"SHIPWAY_CONTROL_URL": url or control.url, "SHIPWAY_CONTROL_TOKEN": TOKENS[role]}
        return CliRunner().invoke(command, [*words, *place], env=env)

    return run


def agent(start, control, data):
    env = {"SHIPWAY_CONTROL_URL": control.url, "SHIPWAY_CONTROL_TOKEN": TOKENS["report"]}
    return start(HELLO, env=env | {"SHIPWAY_STORAGE": str(data)}, settings=LIMITS)


def test_what_is_set_reaches_every_replica_and_ends_when_it_is_cleared(start, control, policy, tmp_path):
    running = agent(start, control, tmp_path / "data")
    before = policy("show")
    assert "nobody has put a policy there" in before.output
    assert running.ask().status_code == 200
    found = policy("set", "--kill", "all", "--limit", "tokens=5k/day", "--reason", "INC-7")
    assert found.exit_code == 0, found.output
    assert "version 1, " in found.stdout
    assert "operate-of-tests: INC-7" in found.stdout
    # At first it is agent.toml's own, and what is set is added to that.
    assert "kill all, requests=600/min, tokens=5000/day" in found.stdout
    assert "in force" in found.stdout
    assert running.ask().status_code == 503
    again = policy("clear", "--kill", "all")
    assert "operate-of-tests: clear kill all" in again.stdout
    assert "requests=600/min, tokens=5000/day" in again.stdout
    assert running.ask().status_code == 200
    cleared = json.loads(policy("clear", "--json").stdout)
    assert cleared["policy"]["limits"]["tokens"] is None
    assert cleared["version"] == 3
    assert [one["state"] for one in cleared["replicas"]] == ["in force"]


def test_who_is_behind_is_named(control, policy, monkeypatch):
    monkeypatch.setattr("shipway.cli.policy_fleet.ARRIVE_S", 0.1)
    report = ReplicaReport("here-1", "r1", time.time(), ready=True, policy='"another"')
    control.ask("report", "POST", "/v1/replicas", content=encode(report).encode())
    found = policy("set", "--kill", "tool:rm")
    assert found.exit_code == 1
    assert "here-1" in found.stdout
    assert "behind" in found.stdout
    assert "1 of 1 replicas are behind" in found.stderr


def test_that_nobody_enforces_it_is_a_failure(policy):
    found = policy("set", "--kill", "tool:rm")
    assert found.exit_code == 1
    assert "version 1, " in found.stdout
    assert "control hears of no replica in development: nobody enforces it" in found.stderr
    assert policy("show").exit_code == 0


def test_somebody_else_was_first_once_and_always(control):
    with fleet(control) as ours, fleet(control) as theirs:
        contend(ours, theirs)


def fleet(control) -> Fleet:
    return Fleet(control.url, TOKENS["operate"], "test", "development")


def contend(fleet: Fleet, other: Fleet) -> None:
    assert fleet.policy().etag == NO_POLICY
    times = []

    def change(before):
        if not times:
            other.change(lambda _: Policy(Kill(tools=("theirs",))), "first")
        times.append(before.version)
        return Policy(Kill(tools=(*before.policy.kill.tools, "ours")))

    assert fleet.change(change, "second").policy.kill.tools == ("theirs", "ours")
    assert times == [0, 1]

    def always(before):
        other.change(lambda _: Policy(Kill(tools=(str(before.version),))), "again")
        return Policy()

    with pytest.raises(ControlError, match=r"changed by others, 2 times in between: the policy is at"):
        fleet.change(always, "never")


@pytest.mark.parametrize(
    ("words", "role", "message"),
    [
        (("set", "--kill", "all"), "report", "403"),
        (("set", "--kill", "all"), "read", "403"),
    ],
)
def test_a_token_that_may_not(policy, words, role, message):
    found = policy(*words, role=role)
    assert isinstance(found.exception, ControlError)
    assert message in str(found.exception)
    assert "of another role" in found.exception.hint


def test_whoever_may_read_may_look(policy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")  # which is not asked for loopback
    assert policy("show", role="read").exit_code == 0


def test_a_control_that_is_not_there(policy, tmp_path):
    nowhere = policy("show", url=f"http://127.0.0.1:{free_port()}")
    assert "is not reached" in str(nowhere.exception)
    place = ("--env", "development", "-C", str(tmp_path))
    unsaid = CliRunner().invoke(command, ["show", *place], env={"SHIPWAY_CONTROL_URL": None})
    assert "where its control is, nobody says" in str(unsaid.exception)
    endless = policy("set", "--kill", "all", "--for", "1h")
    assert endless.exit_code == 2
    assert "has no end" in endless.stderr


def test_a_model_that_is_no_fallback_is_refused_by_the_replica_and_said(start, control, policy, tmp_path):
    """Control keeps the policies of any agent; whether one can be enforced is the agent's to say."""
    running = agent(start, control, tmp_path / "data")
    deadline = time.monotonic() + BOUND_S
    while "in force" not in policy("show").stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = policy("set", "--model", "unknown")
    assert found.exit_code == 1
    assert "behind" in found.stdout
    assert running.ask().status_code == 200
    assert Path(tmp_path / "data").exists()
