"""A whole control as a process: what it takes, what it shows, how it starts and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import httpx2
import pytest
from tests.controlling import DEPLOYMENT, SHIPWAY, TOKENS
from tests.unit.control.conftest import AT, lines, outcome

RELEASE = {
    "shipway": "0.1.0",
    "name": "test",
    "source": {"revision": "abc", "dirty": False},
    "images": {"agent": "registry.example.com/test@sha256:" + "0" * 64},
    "prompts": None,
    "tools": None,
    "id": "0123456789ab",
}


def send(control, *outcomes, **more) -> httpx2.Response:
    return control.ask("report", "POST", "/v1/outcomes", content=lines(*outcomes), **more)


def revisions(control) -> list:
    return control.ask("read", "GET", "/v1/fleet").json()["revisions"]


def test_outcomes_count_once(start_control):
    control = start_control()
    sent = [outcome("a", n) for n in (1, 2)] + [outcome("b", status="error", cost=0.5)]
    assert send(control, *sent).status_code == 204
    assert send(control, *sent, outcome("b", 2)).status_code == 204
    elsewhere = DEPLOYMENT | {"environment": "prod"}
    assert send(control, *sent, params=elsewhere).status_code == 204  # another deployment's own
    [revision] = revisions(control)
    figures = {key: revision[key] for key in ("revision", "conversations", "turns", "errors", "cost")}
    assert figures == {"revision": "r-1", "conversations": 2, "turns": 4, "errors": 1, "cost": 0.5}
    assert revision["latency_s"]["p50"] == pytest.approx(0.5, rel=0.1)
    assert control.stop() == 0


def test_one_line_that_is_none_keeps_all_out(control):
    answer = send(control, outcome("a"), outcome("b", status="well"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_outcome")
    assert "line 2: status: expected one of ok, error, denied, cancelled" in answer.json()["error"]["message"]
    assert revisions(control) == []
    assert send(control, params={}).status_code == 400


def test_outcomes_that_are_older_than_is_kept_do_not_count(control):
    assert send(control, outcome("a", finished=AT - 90 * 86_400)).status_code == 204
    assert revisions(control) == []


def test_a_policy_is_put_and_polled(control):
    polled = control.ask("report", "GET", "/v1/policy")
    assert (polled.status_code, polled.json(), polled.headers["etag"]) == (200, {}, '"0"')
    body = {"policy": {"kill": {"all": True}}, "reason": "INC-7"}
    assert control.ask("operate", "PUT", "/v1/policy", json=body).status_code == 428
    put = control.ask("operate", "PUT", "/v1/policy", json=body, headers={"if-match": '"0"'})
    assert put.status_code == 200, put.text
    etag = put.headers["etag"]
    polled = control.ask("report", "GET", "/v1/policy")
    assert (polled.json(), polled.headers["etag"]) == ({"kill": {"all": True}}, etag)
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        assert control.ask("report", "GET", "/v1/policy", headers={"if-none-match": known}).status_code == 304
    late = control.ask("operate", "PUT", "/v1/policy", json=body, headers={"if-match": '"0"'})
    assert (late.status_code, late.json()["error"]["code"]) == (412, "changed_meanwhile")
    assert "put by operate-of-tests" in late.json()["error"]["message"]
    [version] = control.ask("read", "GET", "/v1/policy/versions").json()
    assert (version["by"], version["reason"], version["version"]) == ("operate-of-tests", "INC-7", 1)
    elsewhere = DEPLOYMENT | {"environment": "prod"}
    assert control.ask("report", "GET", "/v1/policy", params=elsewhere).json() == {}
    wrong = {"policy": {"kill": {"all": "yes"}}, "reason": "INC-8"}
    refused = control.ask("operate", "PUT", "/v1/policy", json=wrong, headers={"if-match": etag})
    assert refused.json()["error"]["message"] == 'policy: kill.all: expected bool, saw "yes"'


@pytest.mark.parametrize("reason", [{}, {"reason": ""}, {"reason": " "}, {"reason": None}], ids=str)
def test_nobody_changes_a_policy_without_saying_why(control, reason):
    body = {"policy": {"kill": {"all": True}}} | reason
    refused = control.ask("operate", "PUT", "/v1/policy", json=body, headers={"if-match": "*"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_policy")
    assert refused.json()["error"]["message"].startswith("reason: expected why")
    assert control.ask("report", "GET", "/v1/policy").json() == {}


def test_a_revision_may_have_a_slash_in_its_name(control):
    gate = {"stable": "team/r-1", "share": 0.1, "metrics": {"errors": {}}}
    path = "/v1/gates/team%2Fr-2"
    assert control.ask("operate", "PUT", path, json=gate).status_code == 200
    assert control.ask("read", "GET", path).json()["canary"] == "team/r-2"
    assert control.ask("operate", "DELETE", path).status_code == 204
    assert control.ask("read", "GET", "/v1/gates/team%2Fr-3").json()["error"]["code"] == "no_gate"


def test_a_replica_reports(control):
    report = {"replica": "host-1", "revision": "r-2", "started": AT, "ready": True}
    assert control.ask("report", "POST", "/v1/replicas", json=report).status_code == 204
    assert control.ask("report", "POST", "/v1/replicas", json=report | {"ready": False}).status_code == 204
    [revision] = revisions(control)
    [replica] = revision["replicas"]
    assert (replica["replica"], replica["ready"], replica["away"]) == ("host-1", False, False)
    [deployment] = control.ask("read", "GET", "/v1/deployments").json()
    assert deployment == DEPLOYMENT | {"revisions": ["r-2"], "replicas": 1, "ready": 0}


def test_a_report_is_json_that_others_can_read(control):
    body = b'{"replica": "a", "revision": "r", "started": NaN, "ready": true}'
    assert control.ask("report", "POST", "/v1/replicas", content=body).status_code == 400
    assert revisions(control) == []


def test_a_revision_has_its_release(control):
    sent = {"release": RELEASE, "revision": "r-1"}
    assert control.ask("report", "POST", "/v1/releases", json=sent).status_code == 204
    send(control, outcome("a", revision="r-0"))
    listed = control.ask("read", "GET", "/v1/releases").json()
    assert [(one["revision"], one["release"] and one["release"]["id"]) for one in listed] == [
        ("r-0", None),
        ("r-1", "0123456789ab"),
    ]
    assert len(control.ask("read", "GET", "/v1/releases", params=DEPLOYMENT | {"limit": 1}).json()) == 1


def test_conversations_that_failed_with_what_was_said(control):
    send(control, outcome("a"), outcome("b", status="error"), outcome("b", 2), outcome("c", status="error"))
    text = {
        "conversation": "b", "turn": 1, "revision": "r-1", "tenant": None, "started": AT + 1,
        "status": "error",
        "messages": [{"role": "user", "content": "hi"}], "answer": "", "error": "ValueError: no",
    }  # fmt: skip
    assert control.ask("report", "POST", "/v1/turns", content=lines(text)).status_code == 204
    found = control.ask("read", "GET", "/v1/conversations").json()
    assert [one["conversation"] for one in found] == ["c", "b"]
    assert [turn["text"] and turn["text"]["error"] for turn in found[1]["turns"]] == ["ValueError: no", None]
    before = DEPLOYMENT | {"before": found[0]["id"]}
    rest = control.ask("read", "GET", "/v1/conversations", params=before).json()
    assert [one["conversation"] for one in rest] == ["b"]
    other = DEPLOYMENT | {"revision": "r-9"}
    assert control.ask("read", "GET", "/v1/conversations", params=other).json() == []


def test_what_was_deleted_does_not_come_back(control):
    text = {
        "conversation": "b", "turn": 1, "revision": "r-1", "tenant": "acme", "started": AT, "status": "ok",
        "messages": [], "answer": "said",
    }  # fmt: skip
    gone = {"conversation": "b", "tenant": "acme", "deleted": AT + 5}
    late, later = text | {"turn": 2}, text | {"turn": 3, "started": AT + 6}
    sent = lines(text, text | {"tenant": "other"}, gone, late, later)
    assert control.ask("report", "POST", "/v1/turns", content=sent).status_code == 204
    send(control, *(outcome("b", n, tenant="acme", started=AT, status="error") for n in (1, 2)),
         outcome("b", 3, tenant="acme", started=AT + 6))  # fmt: skip
    [found] = control.ask("read", "GET", "/v1/conversations").json()
    assert [turn["text"] and turn["text"]["answer"] for turn in found["turns"]] == [None, None, "said"]


def test_engines_are_told(control):
    """A gate whose canary fails every time, asked in each form."""
    assert control.ask("read", "GET", "/v1/verdict", params=DEPLOYMENT | {"canary": "r-2"}).status_code == 404
    now = time.time()
    sent = [
        outcome(f"c-{n}", revision="r-2" if n % 2 else "r-1", status="error" if n % 2 else "ok",
                first_seen=now - 1500 + n, started=now - 1500 + n, finished=now - 1499 + n)
        for n in range(400)
    ]  # fmt: skip
    assert send(control, *sent).status_code == 204
    plan = {"stable": "r-1", "share": 0.5, "metrics": {"errors": {}}, "since": now - 1600}
    put = control.ask("operate", "PUT", "/v1/gates/r-2", json=plan)
    assert put.status_code == 200, put.text
    query = DEPLOYMENT | {"canary": "r-2"}
    end = time.monotonic() + 60
    while (told := control.ask("read", "GET", "/v1/verdict", params=query).json())["verdict"] != "fail":
        assert time.monotonic() < end, told
        time.sleep(0.2)
    assert "r-2 is worse than r-1" in told["words"]
    assert told["evidence"] >= told["threshold"] == 20
    forms = {
        form: control.ask("read", "GET", "/v1/verdict", params=query | {"as": form})
        for form in ("exit", "ecs")
    }
    assert forms["exit"].text == "3\n"
    assert forms["ecs"].json() == {"hookStatus": "FAILED"}
    wrong = control.ask("read", "GET", "/v1/verdict", params=query | {"as": "nagios"})
    assert wrong.status_code == 400
    shown = control.ask("read", "GET", "/v1/gates/r-2").json()
    assert shown["points"]
    assert shown["changes"][0]["by"] == "operate-of-tests"
    page = control.ask(None, "GET", "/metrics").text
    assert 'shipway_control_outcomes_total{result="new"} 400.0' in page
    control.kill()
    control.start()
    assert control.ask("read", "GET", "/v1/gates/r-2").json() == shown | {"forecast": shown["forecast"]}
    assert control.ask("operate", "DELETE", "/v1/gates/r-2").status_code == 204
    assert control.ask("read", "GET", "/v1/verdict", params=query).json()["verdict"] == "fail"
    [listed] = control.ask("read", "GET", "/v1/gates").json()
    assert listed["ended"]


def test_requests_in_flight_are_answered_before_it_ends(control):
    """SIGTERM while a body is still coming."""
    body = lines(outcome("a"))
    head = (
        f"POST /v1/outcomes?name=test&environment=development HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Bearer {TOKENS['report']}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", control.port), 30) as connection:
        connection.sendall(head.encode() + body[:10])
        time.sleep(0.5)
        assert control.process
        control.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(body[10:])
        assert b"204" in connection.recv(1000).partition(b"\r\n")[0]
    assert control.stop() == 0
    control.start()
    assert revisions(control)[0]["turns"] == 1


def serve(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SHIPWAY, "control", "serve", *arguments],
        env={"PATH": os.environ["PATH"]} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_port_that_is_taken(control, tmp_path):
    done = serve("--port", str(control.port), "--data", str(tmp_path / "other"))
    assert done.returncode == 1
    assert f"error: port {control.port} on 127.0.0.1 is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_tokens_are_made_on_loopback_alone(tmp_path):
    done = serve("--host", "0.0.0.0", "--data", str(tmp_path))
    assert done.returncode == 2
    assert "there are no tokens, and control would listen on 0.0.0.0" in done.stderr
    assert "SHIPWAY_CONTROL_TOKENS" in done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("operate ann short", "line 1: a token has at least 16 characters"),
        ("owner ann " + "x" * 20, "line 1: expected one of report, read, operate"),
        ("operate " + "x" * 20, "line 1: expected three words, saw 2"),
        ("\n# nothing\n", "there is no token"),
        (f"read a {'x' * 20}\nread b {'x' * 20}", "one token is there twice"),
    ],
)
def test_tokens_that_cannot_be_used(tmp_path, given, message):
    done = serve("--data", str(tmp_path), SHIPWAY_CONTROL_TOKENS=given)
    assert done.returncode == 2
    assert message in done.stderr
    assert "xxxx" not in done.stderr


@pytest.mark.slow
def test_a_database_that_cannot_be_had(tmp_path):
    (tmp_path / "file").write_text("")
    done = serve("--data", str(tmp_path / "file" / "data"), "--port", "0")
    assert done.returncode == 2
    assert "Not a directory" in done.stderr
    assert "--data must be a directory that can be written" in done.stderr
    done = serve("--data", str(tmp_path), "--database", "mysql://user:secret@host/x", "--port", "0")
    assert "the database's URL is none of PostgreSQL's" in done.stderr
    assert "secret" not in done.stderr
