"""A whole control as a process."""

from __future__ import annotations

import httpx2
from tests.unit.control.conftest import AT, lines, outcome


def send(control, *outcomes, **more) -> httpx2.Response:
    return control.ask("report", "POST", "/v1/outcomes", content=lines(*outcomes), **more)


def revisions(control) -> list:
    return control.ask("read", "GET", "/v1/fleet").json()["revisions"]


def test_outcomes_count_once(start_control):
    control = start_control()
    sent = [outcome("a", n) for n in (1, 2)] + [outcome("b", status="error", cost=0.5)]
    assert send(control, *sent).status_code == 204
    assert send(control, *sent, outcome("b", 2)).status_code == 204
    [revision] = revisions(control)
    figures = {key: revision[key] for key in ("revision", "conversations", "turns", "errors", "cost")}
    assert figures == {"revision": "r-1", "conversations": 2, "turns": 4, "errors": 1, "cost": 0.5}
    assert control.stop() == 0


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
    assert control.ask("report", "GET", "/v1/policy", headers={"if-none-match": etag}).status_code == 304
    late = control.ask("operate", "PUT", "/v1/policy", json=body, headers={"if-match": '"0"'})
    assert (late.status_code, late.json()["error"]["code"]) == (412, "changed_meanwhile")
    [version] = control.ask("read", "GET", "/v1/policy/versions").json()
    assert (version["by"], version["reason"], version["version"]) == ("operate-of-tests", "INC-7", 1)


def test_a_replica_reports(control):
    report = {"replica": "host-1", "revision": "r-2", "started": AT, "ready": True}
    assert control.ask("report", "POST", "/v1/replicas", json=report).status_code == 204
    [revision] = revisions(control)
    assert revision["replicas"][0]["replica"] == "host-1"
    [deployment] = control.ask("read", "GET", "/v1/deployments").json()
    assert deployment == {
        "name": "test", "environment": "development", "revisions": ["r-2"], "replicas": 1, "ready": 1
    }  # fmt: skip
