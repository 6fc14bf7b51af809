"""What an `apply` comes to, and people's words after it: on the disk, before any engine hears of them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.errors import RolloutError
from shipway.plan.deployment import AGENT, CONTROL, ROUTER, Container, Deployment, Revision
from shipway.plan.rollout import RolloutPlan, Step
from shipway.rollout.service import ordering
from shipway.rollout.service.applying import apply
from shipway.rollout.service.host import Host
from shipway.rollout.service.messages import Applied, Apply

PLAN = RolloutPlan("desk", "prod", (Step(5, 60.0), Step(100)), metrics={"errors": 0.01}, suite=True)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host("desk-prod", tmp_path, str(tmp_path / "no.sock"))


def deployment(revision: str) -> Deployment:
    agent = Container(AGENT, "sha256:a", secrets={"KEY": "file"})
    return Deployment(
        "desk",
        "prod",
        PLAN,
        Revision(revision, "release", (agent,)),
        Container(ROUTER, "sha256:r"),
        Container(CONTROL, "sha256:c"),
    )


def ask(host: Host, revision: str, *, at_once: bool = False, key: str = "k") -> Applied:
    return apply(host, Apply(deployment(revision), {"KEY": key}, "ann", at_once))


def served(host: Host, revision: str) -> None:
    """It is stable, and was ready."""
    ask(host, revision)
    host.records.was_ready(time.time())


def test_the_first_one_is_stable_at_once_and_another_takes_its_place_until_one_was_ready(host: Host) -> None:
    assert ask(host, "r1").what == "first"
    assert ask(host, "r1").what == "same"
    assert ask(host, "r2").what == "first"
    assert host.records.stable == "r2"
    assert host.store.last() is None
    host.records.was_ready(time.time())
    assert ask(host, "r3").what == "rollout"
    assert host.records.stable == "r2"


def test_a_rollout_begins_by_its_plan_or_at_once(host: Host) -> None:
    served(host, "r1")
    ask(host, "r2")
    current = host.store.current()
    assert current
    assert current.plan == PLAN
    assert host.store.history(current)[0].who == "ann"
    host.store.save(current, replace(current.state, phase="aborted"), ordering.Asked(1.0, "abort", "ann"))
    ask(host, "r3", at_once=True)
    current = host.store.current()
    assert current
    assert (current.plan.steps, current.plan.metrics, current.plan.suite) == ((Step(100),), {}, False)


def test_while_one_goes_on_the_same_goes_on_and_another_changes_nothing(host: Host) -> None:
    served(host, "r1")
    ask(host, "r2")
    again = ask(host, "r2", key="new")
    assert (again.what, again.rotated) == ("goes-on", ("KEY",))
    with pytest.raises(RolloutError, match=r"a rollout of r2 goes on \(starting\)") as refused:
        ask(host, "r3", key="newest")
    assert "shipway rollout abort" in refused.value.hint
    assert host.records.find("r3") is None
    assert host.values.read()["KEY"] == "new"
    newest = host.records.newest
    assert newest
    assert newest.revision.id == "r2"


def test_secrets_that_are_missing_are_all_named_and_nothing_has_changed(host: Host) -> None:
    with pytest.raises(RolloutError, match=r"secrets without a value: KEY \(for agent\)"):
        apply(host, Apply(deployment("r1"), {}, "ann"))
    assert host.records.stable is None


def test_another_deployment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="this is the controller of other-prod, not of desk-prod"):
        ask(Host("other-prod", tmp_path), "r1")


def test_a_revision_that_runs_keeps_its_definition(host: Host) -> None:
    """Its containers are not replaced by an `apply` from a newer shipway; what is beside it may be."""
    served(host, "r1")
    newer = deployment("r1")
    changed = replace(newer.revision, containers=(Container(AGENT, "sha256:b", secrets={"KEY": "file"}),))
    router = Container(ROUTER, "sha256:r2")
    apply(host, Apply(replace(newer, revision=changed, router=router), {"KEY": "k"}, "ann"))
    newest = host.records.newest
    assert newest
    assert newest.revision.containers[0].image == "sha256:a"
    assert newest.router == router


def test_an_order_is_looked_at_before_it_is_kept(host: Host) -> None:
    with pytest.raises(RolloutError, match="no rollout goes on"):
        ordering.order(host, "pause", "ann", "")
    served(host, "r1")
    ask(host, "r2")
    with pytest.raises(RolloutError, match="the canary r2 is not ready; it cannot be promoted"):
        ordering.order(host, "promote", "ann", "")
    ordering.order(host, "abort", "ann", "wrong prompt")
    current = host.store.current()
    assert current
    number, orders = host.records.orders(current.id, 7.0)
    assert [(o.now, o.what, o.by, o.reason) for o in orders] == [(7.0, "abort", "ann", "wrong prompt")]
    host.records.take(number)
    assert host.records.orders(current.id, 7.0) == (0, ())


def test_an_order_to_a_rollout_that_has_ended_is_void(host: Host) -> None:
    served(host, "r1")
    ask(host, "r2")
    ordering.order(host, "abort", "ann", "")
    number, orders = host.records.orders(99, 7.0)
    assert (number, orders) == (1, ())


def test_a_suite_is_told_for_its_canary_alone(host: Host) -> None:
    served(host, "r1")
    ask(host, "r2")
    with pytest.raises(RolloutError, match="the rollout that goes on is of r2, not of r1"):
        ordering.suite(host, "pass", "r1")
    current = host.store.current()
    assert current
    assert host.records.suite_of(current.id) == "running"
    ordering.suite(host, "fail", "r2")
    assert host.records.suite_of(current.id) == "fail"


def test_back_from_a_rollout_is_its_abort_and_before_any_there_is_no_way(host: Host) -> None:
    served(host, "r1")
    with pytest.raises(RolloutError, match="there is no revision to go back to"):
        ordering.rollback(host, None, "ann")
    ask(host, "r2")
    ordering.rollback(host, None, "ann")
    current = host.store.current()
    assert current
    assert [order.what for order in host.records.orders(current.id, 1.0)[1]] == ["abort"]
    with pytest.raises(RolloutError, match="goes on"):
        ordering.rollback(host, "r0", "ann")


def test_a_wish_to_go_back_while_the_former_one_is_ending_is_kept(host: Host) -> None:
    served(host, "r1")
    ask(host, "r2")
    current = host.store.current()
    assert current
    state = replace(current.state, phase="promoting")
    host.store.save(current, state, ordering.Asked(1.0, "promote", "ann"))
    assert "r1 is finishing its turns" in ordering.rollback(host, None, "ann").words
    assert host.records.wished == ("r1", "ann")
