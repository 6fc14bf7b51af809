"""The real runtime and the real control: outcomes one way, policy the other, whatever happens to control."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable

import httpx2
import psycopg
from tests.controlling import BOUND_S, DEPLOYMENT, TOKENS, ControlProcess
from tests.unit.control.conftest import lines, outcome
from tests.unit.runtime.conftest import start as start

AGENT = "async def agent(messages, ctx): return 'ok'"
KILLED = {"policy": {"kill": {"all": True}}, "reason": "INC-7"}


def variables(control: ControlProcess, tmp_path) -> dict[str, str]:
    found = {"SHIPWAY_CONTROL_URL": control.url, "SHIPWAY_CONTROL_TOKEN": TOKENS["report"]}
    return found | {"SHIPWAY_STORAGE": str(tmp_path / "data"), "SHIPWAY_REVISION": "r-1"}


def figures(control: ControlProcess) -> tuple[int, int]:
    """Conversations and turns that control has counted."""
    revisions = control.ask("read", "GET", "/v1/fleet").json()["revisions"]
    return sum(one["conversations"] for one in revisions), sum(one["turns"] for one in revisions)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 2 * BOUND_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def put(control: ControlProcess, body: dict) -> str:
    answer = control.ask("operate", "PUT", "/v1/policy", json=body, headers={"if-match": "*"})
    assert answer.status_code == 200, answer.text
    return str(answer.headers["etag"])


def test_outcomes_go_one_way_and_policy_the_other(start, start_control, tmp_path, database_url):
    control = start_control(database=database_url)
    running = start(AGENT, env=variables(control, tmp_path))
    for conversation in "aab":
        assert running.ask(conversation=conversation).status_code == 200
    running.wait_for(lambda: figures(control) == (2, 3), "outcomes at control")
    put(control, KILLED)
    running.wait_for(lambda: running.ask().status_code == 503, "the kill")
    shown = running.admin.get("/policy").json()
    assert shown["base"]["source"] == "control"
    put(control, {"policy": {}, "reason": "over"})
    running.wait_for(lambda: running.ask().status_code == 200, "the end of it")
    versions = control.ask("read", "GET", "/v1/policy/versions").json()
    assert [(one["version"], one["by"], one["reason"]) for one in versions] == [
        (2, "operate-of-tests", "over"),
        (1, "operate-of-tests", "INC-7"),
    ]


def test_control_is_killed_in_the_midst_of_it(start, start_control, tmp_path, database_url):
    """Nothing that it acknowledged is lost, nothing counts twice, and policy holds meanwhile."""
    control = start_control(database=database_url)
    put(control, {"policy": {"limits": {"concurrency": 50}}, "reason": "before"})
    running = start(AGENT, env=variables(control, tmp_path))
    asked, over = 0, threading.Event()

    def ask() -> None:
        nonlocal asked
        while not over.is_set():
            asked += running.ask(conversation=f"c-{asked}").status_code == 200

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(2):
            seen = asked
            running.wait_for(lambda seen=seen: asked > seen + 20, "turns")
            control.kill()
            seen = asked
            running.wait_for(lambda seen=seen: asked > seen + 10, "turns without control")
            control.start()
            running.wait_for(lambda: control.ask(None, "GET", "/readyz").status_code == 200, "control")
    finally:
        over.set()
        asking.join()
    running.wait_for(lambda: figures(control)[1] >= asked, "all outcomes")
    assert figures(control) == (asked, asked)
    assert len(running.outcomes()) == asked


def test_what_is_acknowledged_is_there_after_a_kill(start_control, database_url):
    control = start_control(database=database_url)
    sent = acknowledged = 0
    for _ in range(2):
        enough, seen = threading.Event(), acknowledged
        killer = threading.Thread(target=lambda enough=enough: enough.wait(BOUND_S) and control.kill())
        killer.start()
        with contextlib.suppress(httpx2.TransportError), control.client("report") as client:
            while killer.is_alive():
                batch = lines(*(outcome(f"c-{sent}-{turn}") for turn in range(20)))
                sent += 20
                answer = client.post("/v1/outcomes", content=batch, params=DEPLOYMENT)
                acknowledged += 20 * (answer.status_code == 204)
                if acknowledged >= seen + 100:
                    enough.set()
        killer.join()
        control.start()
        assert acknowledged <= figures(control)[1] <= sent
    assert acknowledged >= 200


def test_two_controls_share_one_database(start, start_control, tmp_path, postgres_url):
    """A runtime is told of a change that was made at the other one."""
    one = start_control(database=postgres_url)
    (tmp_path / "other").mkdir()
    other = ControlProcess(tmp_path / "other", database=postgres_url)
    try:
        running = start(AGENT, env=variables(one, tmp_path))
        running.ask()
        running.wait_for(lambda: figures(other) == (1, 1), "the outcome at the other")
        put(other, KILLED)
        running.wait_for(lambda: running.ask().status_code == 503, "the kill")
        outcomes = [outcome(f"c-{number}") for number in range(500)]
        _together([one, other] * 4, outcomes)
        running.wait_for(lambda: figures(one)[1] >= 501, "outcomes")
        counted = [outcome for outcome in running.outcomes() if outcome["status"] != "denied"]
        with psycopg.connect(postgres_url) as connection:
            [(rows,)] = connection.execute("SELECT count(*) FROM shipway_control.outcome WHERE status = 'ok'")
        assert rows == 500 + len(counted)
    finally:
        other.close()


def _together(controls: list[ControlProcess], outcomes: list[dict]) -> None:
    """The same lines to each, at the same time; each says that it has them."""
    answers: list[int] = []

    def send(control: ControlProcess) -> None:
        answers.append(control.ask("report", "POST", "/v1/outcomes", content=lines(*outcomes)).status_code)

    threads = [threading.Thread(target=send, args=(control,)) for control in controls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [204] * len(controls)


def test_policies_that_follow_each_other_are_put_one_by_one(start_control, database_url):
    """Of many who change the same version at once, one is first, and the others are told."""
    control = start_control(database=database_url)
    answers: list[int] = []

    def change() -> None:
        answers.append(
            control.ask("operate", "PUT", "/v1/policy", json=KILLED, headers={"if-match": '"0"'}).status_code
        )

    threads = [threading.Thread(target=change) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [412] * 7
    assert len(control.ask("read", "GET", "/v1/policy/versions").json()) == 1


def test_a_database_that_goes_away_and_comes_back(start_control, postgres_url, postgres_server):
    control = start_control(database=postgres_url)
    wait_until(lambda: control.ask(None, "GET", "/readyz").status_code == 200)
    postgres_server[0].stop()
    try:
        answer = control.ask("report", "POST", "/v1/outcomes", content=lines(outcome()))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        wait_until(lambda: control.ask(None, "GET", "/readyz").status_code == 503)
        assert "PostgreSQL" in control.ask(None, "GET", "/readyz").json()["problem"]
        assert control.ask(None, "GET", "/healthz").status_code == 200
    finally:
        postgres_server[0].start()
    wait_until(
        lambda: control.ask("report", "POST", "/v1/outcomes", content=lines(outcome())).status_code == 204
    )
    wait_until(lambda: control.ask(None, "GET", "/readyz").status_code == 200)
    assert figures(control) == (1, 1)
    assert "Traceback" not in control.log()


def test_a_database_that_hangs(start_control, postgres_url, postgres_server):
    """Every process of it is stopped where it is: control answers, recovers, and ends when it is asked to."""
    control = start_control(database=postgres_url)
    assert control.ask("report", "POST", "/v1/outcomes", content=lines(outcome())).status_code == 204
    postgres_server[0].freeze()
    try:
        answers: list[int] = []

        def poll() -> None:
            answers.append(control.ask("report", "GET", "/v1/policy").status_code)

        asking = [threading.Thread(target=poll) for _ in range(20)]
        for thread in asking:
            thread.start()
        assert control.ask(None, "GET", "/healthz").status_code == 200
        assert control.ask("report", "POST", "/v1/outcomes", content=lines(outcome("d"))).status_code == 503
        for thread in asking:
            thread.join()
        assert answers == [503] * 20
        wait_until(lambda: control.ask(None, "GET", "/readyz").status_code == 503)
        assert control.stop() == 0
    finally:
        postgres_server[0].freeze(signal.SIGCONT)
    control.start()
    assert control.ask("report", "POST", "/v1/outcomes", content=lines(outcome("d"))).status_code == 204
    assert figures(control) == (2, 2)
