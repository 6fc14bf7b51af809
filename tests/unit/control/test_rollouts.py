"""The rollout at control: snapshots of its controller, orders of people; by both databases."""

from __future__ import annotations

import dataclasses
import json

import pytest
from tests.controlling import DEPLOYMENT
from tests.snapshots import BEGUN as AT
from tests.snapshots import snapshot

from shipway.control import rollouts
from shipway.control.deployments import Deployment
from shipway.control.http.answers import Refused
from shipway.rollout_snapshot import AWAY_S, Known, Order, Snapshot
from shipway_runtime import contract

HERE = Deployment("support", "prod")
THERE = Deployment("support", "staging")


def keep(database, told: Snapshot, deployment: Deployment = HERE, at: float = AT) -> None:
    with database.write() as transaction:
        rollouts.keep(transaction, deployment, told, at)


def known(database, at: float = AT) -> Known:
    with database.read() as transaction:
        return rollouts.known(transaction, HERE, at)


def order(database, what: str = "pause", deployment: Deployment = HERE, **more) -> Order:
    wanted = rollouts.read_order({"what": what, "reason": "the crowd is angry", **more})
    with database.write() as transaction:
        return rollouts.order(transaction, deployment, wanted, "ann", AT + 1)


def heard(database, after: float) -> list[int]:
    with database.read() as transaction:
        return [one.number for one in rollouts.orders(transaction, HERE, after)]


def text(told: Snapshot, **more) -> bytes:
    return json.dumps(dataclasses.asdict(told) | more).encode()


def test_the_newest_snapshot_is_what_is_known(database):
    assert known(database) == Known()
    for told in (snapshot(), snapshot(percent=25, step=1)):
        keep(database, rollouts.read(text(told)), at=AT + 5)
    keep(database, snapshot(percent=100), THERE)
    assert known(database, AT + 6) == Known(snapshot(percent=25, step=1), AT + 5)


def test_a_snapshot_of_a_newer_shipway_is_no_defect(database):
    keep(database, snapshot())
    with database.write() as transaction:
        transaction.change("UPDATE main.rollout SET snapshot = :text", text='{"mood": 1}')
    with pytest.raises(Refused, match="a newer shipway tells of this rollout") as refused:
        known(database)
    assert refused.value.status == 409


def test_a_controller_that_is_silent_is_away_unless_its_rollout_has_ended(database):
    keep(database, snapshot())
    assert [known(database, AT + after).away for after in (AWAY_S - 1, AWAY_S + 1)] == [False, True]
    keep(database, snapshot(phase="promoted"))
    assert not known(database, AT + 1e6).away


def test_orders_wait_until_the_controller_has_heard_them(database):
    keep(database, snapshot())
    first, second = order(database), order(database, "abort", canary="r-2")
    assert (first.what, first.by, first.reason, first.canary, first.begun) == (
        *("pause", "ann", "the crowd is angry"),
        *("r-2", AT),
    )
    assert second.number > first.number
    assert heard(database, 0) == [first.number, second.number]
    assert heard(database, first.number) == [second.number]
    assert known(database).orders == (first, second)
    keep(database, snapshot(heard=first.number))
    assert known(database).orders == (second,)
    keep(database, snapshot(heard=first.number, phase="aborted"))
    assert known(database).orders == ()


def test_an_order_is_for_the_rollout_that_went_on_then(database):
    keep(database, snapshot())
    order(database)
    keep(database, snapshot(begun=AT + 100))
    assert known(database).orders == ()
    keep(database, snapshot(), THERE)
    assert order(database, deployment=THERE).number not in heard(database, 0)


@pytest.mark.parametrize("after", [7, 1e300, -1e300])
def test_who_has_heard_more_than_there_is_had_another_database(database, after):
    keep(database, snapshot())
    assert heard(database, after) == []
    assert heard(database, after) == [] != [order(database).number] == heard(database, after)


@pytest.mark.parametrize("phase", [None, "promoting", "aborting", "promoted", "aborted"])
def test_nothing_can_be_ordered_where_no_rollout_goes_on(database, phase):
    if phase:
        keep(database, snapshot(phase=phase))
    with pytest.raises(Refused, match="no rollout goes on") as refused:
        order(database)
    assert refused.value.status == 409
    assert heard(database, 0) == []


def test_an_order_for_another_rollout_is_refused(database):
    keep(database, snapshot())
    with pytest.raises(Refused, match="that of r-2; look again") as refused:
        order(database, "promote", canary="r-9")
    assert refused.value.status == 409


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"what": "stop"}, "one of pause, resume, promote, abort; saw 'stop'"),
        ({"what": ["pause"]}, "one of pause"),
        ({"reason": None}, "reason: expected why"),
        ({"reason": "  "}, "reason: expected why"),
        ({"reason": "a\nb"}, "reason: expected why"),
        ({"canary": 3}, "canary: expected"),
        ({"by": "bob"}, "'by' is no key here"),
    ],
)
def test_what_is_no_order(wrong, message):
    with pytest.raises(Refused) as refused:
        rollouts.read_order({"what": "pause", "reason": "a test"} | wrong)
    assert message in refused.value.message
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"phase": "dancing"}, "phase: expected one of starting"),
        ({"step": 3}, "there is no step 3"),
        ({"mood": 1}, "mood: not a key"),
        ({"canary": {"revision": "", "health": "ready"}}, "expected 1 to 256"),
        ({"format": 2}, "newer"),
    ],
)
def test_what_is_no_snapshot(wrong, message):
    with pytest.raises(Refused) as refused:
        rollouts.read(text(snapshot(), **wrong))
    assert message in refused.value.message
    assert refused.value.status == 422


def test_over_http(control):
    """As the controller and a person ask, each by a token."""
    told = dataclasses.asdict(snapshot())
    assert control.ask("read", "GET", "/v1/rollout").json()["rollout"] is None
    assert control.ask("operate", "PUT", "/v1/rollout", json=told).status_code == 204
    taken = control.ask("operate", "POST", "/v1/rollout/orders", json={"what": "abort", "reason": "INC-7"})
    assert (taken.status_code, taken.json()["by"]) == (201, "operate-of-tests")
    found = contract.decode(Known, control.ask("read", "GET", "/v1/rollout").content, "known")
    assert (found.rollout, [one.what for one in found.orders]) == (snapshot(), ["abort"])
    asked = control.ask("operate", "GET", "/v1/rollout/orders", params=DEPLOYMENT | {"after": 0})
    assert asked.json() == [taken.json()]
    canary = told["canary"]["revision"]
    gate = {"stable": "r-0", "share": 0.05, "metrics": {"errors": {}}}
    assert control.ask("operate", "PUT", f"/v1/gates/{canary}", json=gate).json()["ended"] is None
    assert control.ask("operate", "PUT", "/v1/rollout", json=told).status_code == 204
    assert control.ask("operate", "GET", f"/v1/gates/{canary}").json()["ended"] is None
    for _ in range(2):  # its controller was killed before it heard the answer
        gone = control.ask("operate", "PUT", "/v1/rollout", json=told | {"phase": "aborted"})
        assert gone.status_code == 204
    assert control.ask("operate", "GET", f"/v1/gates/{canary}").json()["ended"]
    late = control.ask("operate", "POST", "/v1/rollout/orders", json={"what": "pause", "reason": "late"})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "no_rollout")
