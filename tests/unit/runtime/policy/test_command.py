"""`shipway policy` against running processes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tests.ports import free_port

from shipway.cli.policy import command
from shipway.local import replicas
from shipway_runtime.contract import Kill, Limits, Policy, Restriction

TOKEN = "a-token-that-nobody-guesses"
HELLO = "async def agent(messages, ctx): return 'ok'"


@pytest.fixture(scope="module")
def running(start_shared, tmp_path_factory):
    env = {"SHIPWAY_ADMIN_TOKEN": TOKEN, "SHIPWAY_STORAGE": str(tmp_path_factory.mktemp("data"))}
    return start_shared(HELLO, env=env, settings={"limits": {"requests": [600, 60]}})


def policy(*words: str, token: str = TOKEN):
    return CliRunner().invoke(command, list(words), env={"SHIPWAY_ADMIN_TOKEN": token})


def test_set_adds_and_clear_takes_all_away(running):
    url = ("--url", str(running.admin.base_url))
    first = policy("set", "--kill", "tool:git_reset", "--for", "2h", "--reason", "INC-7", *url)
    assert first.exit_code == 0, first.output
    assert "kill tool:git_reset; until" in first.stdout
    second = policy("set", "--kill", "all", "--limit", "requests=10/min", "--limit", "tokens=5k/day", *url)
    assert "kill all, kill tool:git_reset, requests=10/min, tokens=5000/day; until" in second.stdout
    shown = running.admin.get("/policy").json()["restriction"]
    assert 7100 < shown["remaining_s"] <= 7200  # the later end of the two
    assert running.ask().status_code == 503
    text = policy("show", *url).stdout
    assert "from [policy]" in text
    assert "requests=600/min" in text
    policy("set", "--limit", "concurrency=1", "--tenant", "acme", *url)
    single = policy("clear", "--kill", "all", "--kill", "tool:never-heard-of", *url)
    assert "  kill tool:git_reset, requests=10/min" in single.stdout.replace(str(running.admin.base_url), "")
    cleared = policy("clear", "--reason", "over", *url)
    assert "no restriction" in cleared.stdout
    assert running.ask().status_code == 200
    assert "(everybody)" in policy("show", *url).stdout
    assert "tenants.acme.concurrency none -> 1" in running.log()
    assert "reason over" in running.log()


def test_which_replicas_were_not_reached(running):
    nobody = f"http://127.0.0.1:{free_port()}"
    both = ("--url", nobody, "--url", str(running.admin.base_url))
    found = policy("set", "--limit", "requests=500/min", *both)
    assert found.exit_code == 1
    assert "requests=500/min; until" in found.stdout
    assert "not reached: " in found.stdout
    assert "1 of 2 replicas failed" in found.stderr
    document = json.loads(policy("show", "--json", *both).stdout)
    assert document[0]["replica"] == nobody
    assert document[0]["policy"] is None
    assert document[1]["policy"]["restriction"]["policy"]["limits"]["requests"] == [500, 60]


def test_another_token_and_another_server(running):
    refused = policy("clear", "--url", str(running.admin.base_url), token="wrong-one")
    assert refused.exit_code == 1
    assert "401: changes take the admin token" in refused.stdout
    other = policy("show", "--url", str(running.api.base_url))
    assert other.exit_code == 1
    assert "answers, but not as an agent's admin port does" in other.stdout
    wrong = policy("set", "--model", "x", "--url", str(running.admin.base_url))
    assert "400: policy: model: 'x' is not among the declared fallbacks" in wrong.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("set",), "nothing to set"),
        (("set", "--kill", "git_reset"), "--kill git_reset: expected all, tool:NAME"),
        (("set", "--kill", "tool:"), "--kill tool:: expected all"),
        (("set", "--limit", "requests=fast"), "--limit requests=fast: expected requests=10/min"),
        (("set", "--limit", "speed=1"), "--limit speed=1: expected"),
        (
            ("set", "--kill", "all", "--for", "8d"),
            "--for 8d: expected a time such as 30m, 4h or 2d, and at most 7d",
        ),
        (("set", "--kill", "all", "--for", "soon"), "--for soon: expected"),
        (("set", "--kill", "all", "--tenant", "acme"), "--kill tenant:NAME"),
        (("show", "--env", "prod"), "--env means every replica, and --url single ones"),
        (("show", "--control", "http://c"), "--control says which control --env is asked of"),
    ],
)
def test_wrong_usage(words, message):
    found = policy(*words, "--url", "http://127.0.0.1:1")
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.split())


def test_no_stack_runs_here(tmp_path):
    found = policy("show", "-C", str(tmp_path))
    assert "no stack runs in" in str(found.exception)


def test_a_name_stands_for_all_of_its_addresses(monkeypatch):
    def addresses(host, port, **_):
        return [(2, 1, 6, "", (number, port)) for number in ("10.0.0.5", "10.0.0.6", "fd00::7")]

    monkeypatch.setattr(replicas.socket, "getaddrinfo", addresses)
    assert replicas.find(["support:9000"]) == [
        replicas.Replica("http://10.0.0.5:9000", "support:9000"),
        replicas.Replica("http://10.0.0.6:9000", "support:9000"),
        replicas.Replica("http://[fd00::7]:9000", "support:9000"),
    ]


def test_what_is_added_to_a_restriction():
    there = {
        "policy": {
            "kill": {"tools": ["a"]},
            "limits": {"concurrency": 5, "requests": [9, 60]},
            "model": "small",
        },
        "remaining_s": 100.0,
    }
    more = Restriction(Policy(Kill(all=True, tools=("b",)), Limits(requests=(5, 60))), 50.0, "ann")
    added = replicas.add(there, more)
    assert added.policy == Policy(Kill(all=True, tools=("a", "b")), Limits((5, 60), 5), model="small")
    assert (added.for_s, added.by) == (100.0, "ann")
    assert replicas.add(None, more) is more
    left = replicas.without(there, Restriction(Policy(Kill(tools=("a",))), by="ann"))
    assert left.policy == Policy(Kill(), Limits((9, 60), 5), model="small")
    assert left.for_s == 100.0
    only = {"policy": {"kill": {"tools": ["a"]}}, "remaining_s": 1.0}
    assert replicas.without(only, Restriction(Policy(Kill(tools=("a", "b"))))) is None
