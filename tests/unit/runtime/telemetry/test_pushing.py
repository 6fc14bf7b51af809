"""Outcomes reach control, whatever happens to it or to us: whole runtimes, and a server that fails."""

from __future__ import annotations

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.control_server import ControlServer, fixed, kept

from shipway_runtime import contract
from shipway_runtime.telemetry.pushing import OUTCOMES, Pushing
from shipway_runtime.telemetry.spool import Spool

AGENT = "async def agent(messages, ctx): return 'ok'"
TOKEN = "control-token-1"


@pytest.fixture
def control():
    """`control(*answers)` starts a server; all are closed at the end."""
    servers = []

    def make(*answers, port=0) -> ControlServer:
        servers.append(ControlServer(*answers, port=port))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def pushed_by(start, server, tmp_path, **more):
    storage = tmp_path / "data"
    storage.mkdir(exist_ok=True)
    env = {"SHIPWAY_CONTROL_URL": server.url, "SHIPWAY_CONTROL_TOKEN": TOKEN}
    return start(AGENT, env=env | {"SHIPWAY_STORAGE": str(storage)}, **more)


def shown(server):
    return server.requests[-1][1].get("authorization") if server.requests else None


def turns_of(outcomes):
    return Counter((outcome["conversation"], outcome["turn"]) for outcome in outcomes)


def metrics(running):
    lines = running.admin.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def test_outcomes_reach_control(start, control, tmp_path):
    server = control()
    running = pushed_by(start, server, tmp_path)
    for _ in range(3):
        running.ask(conversation="c")
    running.wait_for(lambda: len(server.lines) == 3, "outcomes")
    assert server.outcomes == running.outcomes()
    path, headers, lines = server.requests[0]
    assert path == "/v1/outcomes?name=test&environment=development"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["content-type"] == "application/x-ndjson"
    assert contract.decode(contract.Outcome, lines[0], "").turn == 1
    wanted = {'shipway_outcomes_total{result="pushed"}': 3, "shipway_outcomes_buffered": 0}
    running.wait_for(lambda: wanted.items() <= metrics(running).items(), "counts")
    assert TOKEN not in running.log()


def test_the_last_ones_leave_while_the_process_ends(start, control, tmp_path):
    server = control()
    running = pushed_by(start, server, tmp_path)
    running.ask()
    running.terminate()
    assert running.exit_code() == 0
    assert server.outcomes == running.outcomes()
    assert list((tmp_path / "data/outcomes/test/development").iterdir()) == []


def test_what_control_missed_survives_a_kill_and_a_restart(start, control, tmp_path):
    away = control(fixed(503))
    running = pushed_by(start, away, tmp_path)
    running.ask(conversation="c")
    running.wait_for(lambda: away.requests, "attempt")
    running.wait_for(lambda: "it answered 503" in running.log(), "reason in the log")
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    server = control()
    again = pushed_by(start, server, tmp_path)
    again.ask(conversation="c")
    again.wait_for(lambda: len(server.lines) == 2, "both outcomes")
    assert turns_of(server.outcomes) == {("c", 1): 1, ("c", 2): 1}


def test_a_control_that_hangs_holds_nobody_up(start, control, tmp_path):
    server = control()
    server.answers = [server.hang]
    running = pushed_by(start, server, tmp_path)
    running.ask()
    running.wait_for(lambda: server.requests, "attempt")
    assert running.ask().status_code == 200
    running.terminate()
    assert running.exit_code() == 0
    assert "2 outcomes did not reach control, and wait on disk" in running.log()
    left = (tmp_path / "data/outcomes/test/development").rglob("*.ndjson")
    assert sum(path.read_bytes().count(b"\n") for path in left) == 2


def test_a_control_that_restarts_gets_everything_once_or_twice(start, control, tmp_path):
    server = control(kept)
    running = pushed_by(start, server, tmp_path)
    running.ask(conversation="before")
    running.wait_for(lambda: server.lines, "outcome")
    server.close()
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(running.ask, ["hi"] * 100)} == {200}
    again = control(port=server.port)
    running.wait_for(lambda: len(turns_of(again.outcomes)) == 100, "outcomes")
    running.wait_for(lambda: "control takes outcomes again" in running.log(), "word of it")


def test_a_wrong_token_is_said_once(start, control, tmp_path):
    server = control(fixed(401, retry_after="1"))
    running = pushed_by(start, server, tmp_path)
    running.ask()
    running.wait_for(lambda: len(server.requests) == 2, "two attempts")
    assert running.log().count("it answered 401: SHIPWAY_CONTROL_TOKEN is missing or wrong") == 1
    assert metrics(running)["shipway_outcomes_buffered"] == 1


def test_a_token_from_a_file_may_rotate(start, control, tmp_path):
    server = control(lambda lines: (204, {}))
    (tmp_path / "SHIPWAY_CONTROL_TOKEN").write_text("token-from-file-1")
    running = start(AGENT, env={"SHIPWAY_CONTROL_URL": server.url, "SHIPWAY_SECRETS": str(tmp_path)})
    running.ask()
    running.wait_for(lambda: shown(server) == "Bearer token-from-file-1", "the token")
    (tmp_path / "SHIPWAY_CONTROL_TOKEN").write_text("token-from-file-2")
    running.ask()
    running.wait_for(lambda: shown(server) == "Bearer token-from-file-2", "the new token")


def test_a_url_that_is_none_keeps_it_from_starting(start):
    running = start(AGENT, ready=False, env={"SHIPWAY_CONTROL_URL": "control:8070"})
    assert running.exit_code() == 1
    assert 'SHIPWAY_CONTROL_URL: expected a URL such as "https://control:8443", saw' in running.log()
    assert "Traceback" not in running.log()


def test_nowhere_to_wait(start, control, tmp_path):
    env = {"SHIPWAY_CONTROL_URL": control().url, "SHIPWAY_STORAGE": "/proc", "TMPDIR": str(tmp_path)}
    running = start(AGENT, env=env, ready=False)
    running.wait_for(lambda: "outcomes wait in " in running.log() or running.process.poll(), "word")
    assert "/proc/outcomes/test/development" in running.log()


# -- One batch after another -------------------------------------------------------------------------------


@pytest.fixture
def pushing(control, tmp_path):
    spool = Spool(tmp_path)
    spool.open()

    def make(*answers) -> tuple[Pushing, ControlServer]:
        server = control(*answers)
        return Pushing(OUTCOMES, server.url, lambda: None, spool, {}), server

    yield make, spool
    spool.close()


async def send_all(pushing: Pushing, spool: Spool) -> list[float]:
    pauses = []
    while len(spool) and len(pauses) < 50:
        pauses.append(await pushing._send())
    await pushing._posting.close()
    return pauses


def test_too_much_at_once_is_sent_in_parts(pushing):
    import asyncio

    make, spool = pushing
    ours, server = make(lambda lines: (413, {}) if len(lines) > 3 else (200, {}))
    spool.add([b"%d" % number for number in range(10)])
    assert set(asyncio.run(send_all(ours, spool))) == {0.0}
    assert server.lines == [b"%d" % number for number in range(10)]
    assert ours.pushed == 10


def test_one_that_is_never_taken_is_given_up(pushing, caplog):
    import asyncio

    make, spool = pushing
    ours, server = make(lambda lines: (422, {}) if b"bad" in lines else (200, {}))
    spool.add([b"1", b"bad", b"2", b"3"])
    asyncio.run(send_all(ours, spool))
    assert server.lines == [b"1", b"2", b"3"]
    assert (ours.pushed, ours.refused) == (3, 1)
    assert "control refused an outcome with 422" in caplog.text


def test_attempts_become_rarer(pushing):
    import asyncio

    make, spool = pushing
    ours, server = make(*[fixed(500)] * 4, fixed(429, retry_after="200"), kept)
    spool.add([b"1"])
    pauses = asyncio.run(send_all(ours, spool))
    for attempt, pause in enumerate(pauses[:4]):
        assert 0.6 * 2**attempt <= pause <= 1.2 * 2**attempt
    assert pauses[4:] == [200.0, 0.0]
    assert server.lines == [b"1"]
