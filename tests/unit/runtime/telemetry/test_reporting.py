"""A replica tells control who it is and whether it is ready: whole runtimes, and a server over HTTP."""

from __future__ import annotations

import pytest
from tests.control_server import ControlServer
from tests.controlling import TOKENS, ControlProcess

from shipway_runtime import contract

AGENT = "async def agent(messages, ctx): return 'ok'"
TOKEN = "control-token-1"


@pytest.fixture
def control():
    """`control()` starts a server; all are closed at the end."""
    servers = []

    def make(port=0) -> ControlServer:
        servers.append(ControlServer(port=port))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def reported_by(start, server, **more):
    env = {"SHIPWAY_CONTROL_URL": server.url, "SHIPWAY_CONTROL_TOKEN": TOKEN, "SHIPWAY_REVISION": "r-1"}
    return start(AGENT, env=env, **more)


def reports(server) -> list[contract.ReplicaReport]:
    return [contract.decode(contract.ReplicaReport, body, "report") for _, _, body in list(server.reports)]


def latest(server) -> contract.ReplicaReport:
    """The last report; one that says nothing before there is any."""
    return (reports(server) or [contract.ReplicaReport("", "", 0.0, ready=False)])[-1]


def test_a_replica_says_who_it_is_and_when_it_is_ready(start, control):
    server = control()
    running = reported_by(start, server)
    running.wait_for(lambda: any(report.ready for report in reports(server)), "word of readiness")
    first, last = reports(server)[0], latest(server)
    assert (first.ready, first.checks["agent"].state) == (False, "starting")
    assert (last.revision, last.checks["agent"].state, last.checks["policy"].state) == ("r-1", "up", "up")
    assert len({report.replica for report in reports(server)}) == 1
    query, headers, _ = server.reports[0]
    assert query == {"name": ["test"], "environment": ["development"]}
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in running.log()


def test_two_processes_of_one_machine_are_two_replicas(start, control):
    server = control()
    running = [reported_by(start, server) for _ in range(2)]
    running[1].wait_for(lambda: len({report.replica for report in reports(server)}) == 2, "two names")


def test_a_change_is_said_at_once(start, control):
    server = control()
    running = reported_by(start, server)
    running.wait_for(lambda: latest(server).policy == server.etag, "the policy that it has")
    before = server.etag
    server.policy = {"limits": {"concurrency": 3}}
    running.wait_for(lambda: latest(server).policy == server.etag != before, "the new one")


def test_it_says_so_when_a_check_fails(start, control, tmp_path):
    server = control()
    (tmp_path / "KEY").write_text("the-key-itself")
    running = start(
        AGENT,
        env={"SHIPWAY_CONTROL_URL": server.url, "SHIPWAY_SECRETS": str(tmp_path)},
        settings={"secrets": {"KEY": {"source": "file"}}},
    )
    running.wait_for(lambda: latest(server).ready, "readiness")
    (tmp_path / "KEY").unlink()
    running.wait_for(lambda: not latest(server).ready, "word of it")
    check = latest(server).checks["secrets"]
    assert check.state == "down"
    assert "KEY" in (check.error or "")


def test_the_last_report_says_that_it_drains(start, control):
    server = control()
    running = reported_by(start, server)
    running.wait_for(lambda: latest(server).ready, "readiness")
    running.terminate()
    assert running.exit_code() == 0
    last = latest(server)
    assert (last.ready, last.checks["draining"].state) == (False, "yes")


def test_a_control_that_refuses_costs_one_line(start, control):
    server = control()
    server.reports_status = 401
    running = reported_by(start, server)
    running.wait_for(lambda: len(server.reports) > 1, "two attempts")
    assert running.ask().status_code == 200
    assert running.log().count("does not hear of this replica") == 1
    assert "it answered 401: SHIPWAY_CONTROL_TOKEN is missing or wrong" in running.log()
    server.reports_status = 204
    server.policy = {"limits": {"concurrency": 3}}
    running.wait_for(lambda: "control hears of this replica again" in running.log(), "word of it")


def test_the_real_control_knows_the_fleet_by_it(start, tmp_path):
    real = ControlProcess(tmp_path)
    try:
        env = {"SHIPWAY_CONTROL_URL": real.url, "SHIPWAY_CONTROL_TOKEN": TOKENS["report"]}
        running = start(AGENT, env=env | {"SHIPWAY_REVISION": "r-1"})

        def replica():
            revisions = real.ask("read", "GET", "/v1/fleet").json()["revisions"]
            found = [replica for revision in revisions for replica in revision["replicas"]]
            assert {revision["revision"] for revision in revisions} <= {"r-1"}
            return found[0] if found else {"ready": None, "policy": None, "checks": {}}

        running.wait_for(lambda: replica()["ready"], "a ready replica")
        body = {"policy": {"limits": {"concurrency": 3}}, "reason": "a test"}
        put = real.ask("operate", "PUT", "/v1/policy", json=body, headers={"if-match": "*"})
        running.wait_for(lambda: replica()["policy"] == put.headers["etag"], "the policy in force")
        running.ask()
        running.terminate()
        assert running.exit_code() == 0
        last = replica()
        assert (last["ready"], last["checks"]["draining"]["error"]) == (False, "it was told to end")
        (revision,) = real.ask("read", "GET", "/v1/fleet").json()["revisions"]
        assert (revision["revision"], revision["turns"]) == ("r-1", 1)
    finally:
        real.close()
