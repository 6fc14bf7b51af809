"""A deployment under real Docker: what happens to it, and that it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.conftest import _engine
from tests.deploying import Images, Machine, make_images

from shipway.plan.deployment import Deployment
from shipway.plan.rollout import Step
from shipway.rollout.service.rounds import KEPT

pytestmark = [pytest.mark.docker, pytest.mark.network]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    yield from make_images(_engine("docker"), tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def shared(images: Images) -> Iterator[Machine]:
    """One deployment for tests that leave it with a stable revision that serves; its first one is `one`."""
    machine = Machine(_engine("docker"), images)
    try:
        machine.deploy("one")
        yield machine
    finally:
        machine.close()


def test_the_first_one_has_its_users_as_soon_as_it_is_ready(shared: Machine) -> None:
    status = shared.status()
    assert status.trouble == ()
    assert status.stable
    assert (status.stable.revision, status.stable.health) == ("one", "ready")
    assert status.ready_since
    assert status.router
    assert status.router.healthy, status.router
    assert shared.post()["key"] == "one"
    assert shared.containers() == {
        shared.part(*names)
        for names in (("controller",), ("control",), ("router",), ("one", "pod"), ("one", "agent"))
    }


def test_its_containers_may_nothing_and_swap_nothing(shared: Machine) -> None:
    found = json.loads(shared.run("inspect", shared.part("one", "agent")))[0]["HostConfig"]
    assert found["ReadonlyRootfs"]
    assert found["CapDrop"] == ["ALL"]
    assert found["Memory"] == found["MemorySwap"]
    assert found["RestartPolicy"]["Name"] == "unless-stopped"
    assert found["LogConfig"]["Type"] == "local"


def test_secrets_that_are_others_reach_it_without_a_restart(shared: Machine) -> None:
    started = shared.run("inspect", "--format", "{{.State.StartedAt}}", shared.part("one", "agent"))
    shared.secrets = {"KEY": "value-two"}
    applied = shared.apply(shared.deployment("one"))
    assert (applied.what, applied.rotated) == ("same", ("KEY",))
    shared.until(lambda: shared.post()["key"] == "value-two")
    agent = shared.part("one", "agent")
    assert shared.run("inspect", "--format", "{{.State.StartedAt}}", agent) == started
    assert "value-two" not in shared.run("inspect", agent, shared.part("controller"))


def test_secrets_that_are_missing_are_named(shared: Machine) -> None:
    refusal = shared.refused_apply(shared.deployment("another", shared.plan(Step(100), notify="HOOK")))
    assert refusal.error == "secrets without a value: HOOK (for controller)"


def test_a_router_that_was_removed_comes_back_and_sends_as_before(shared: Machine) -> None:
    shared.run("rm", "--force", shared.part("router"))
    shared.until(lambda: shared.serves() == "one")


@pytest.mark.long
def test_a_pod_that_was_restarted_has_its_agent_in_it_again(shared: Machine) -> None:
    shared.run("restart", "--time", "1", shared.part("one", "pod"))
    shared.until(lambda: shared.serves() == "one")
    shared.run("rm", "--force", shared.part("one", "pod"))
    shared.until(lambda: shared.serves() == "one")


def test_a_rollout_goes_to_its_end_and_back_in_seconds(shared: Machine) -> None:
    shared.apply(shared.deployment("two"))
    shared.until(lambda: shared.serves() == "two")
    shared.until_phase("promoted")
    assert shared.part("one", "agent") not in shared.containers()
    shared.rollback()
    shared.until(lambda: shared.serves() == "one")
    shared.until_phase("promoted")
    rows = [(row.revision, row.ended, row.stable) for row in shared.releases().releases]
    assert rows == [("one", "promoted", True), ("two", "promoted", False), ("one", "first", True)]


def test_control_knows_how_it_went(shared: Machine) -> None:
    known = shared.control("GET", "/v1/rollout").json()
    assert known["rollout"]["phase"] == "promoted"


def test_of_two_that_come_at_once_one_is_refused(shared: Machine) -> None:
    wait = shared.plan(Step(50, 3600.0), Step(100))
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(shared.try_apply, shared.deployment(name, wait)) for name in ("a", "b")]
        codes = sorted(one.result() for one in asked)
    assert codes == [0, 1]
    shared.order("abort")
    shared.until_phase("aborted")


def test_a_second_rollout_is_refused_while_one_goes_on_and_an_order_ends_it(shared: Machine) -> None:
    wait = shared.plan(Step(50, 3600.0), Step(100))
    shared.apply(shared.deployment("three", wait))
    shared.until_phase("stepping")
    assert shared.apply(shared.deployment("three", wait)).what == "goes-on"
    refusal = shared.refused_apply(shared.deployment("four", wait))
    assert refusal.error == "a rollout of three goes on (stepping)"
    shared.until(lambda: shared.serves() == "three")
    went = {name: shared.serves(name) for name in (f"c{number}" for number in range(10))}
    assert set(went.values()) == {"one", "three"}
    shared.order("abort")
    shared.until_phase("aborted")
    assert {shared.serves(name) for name in went} == {"one"}
    assert shared.part("three", "agent") not in shared.containers()
    assert shared.refused("order", "pause", "--by", "ann").error == "no rollout goes on"


def test_a_gate_judges_it_and_people_end_it_from_controls_page(shared: Machine) -> None:
    judged = shared.plan(Step(50, 3600.0), Step(100), metrics={"errors": 0.01})
    shared.apply(shared.deployment("judged", judged))
    shared.until(lambda: _gate(shared) == "inconclusive", 0.5)
    shared.until(lambda: shared.control("GET", "/v1/rollout").json()["rollout"]["phase"] == "stepping")
    assert shared.control("GET", "/v1/verdict", canary="judged").json()["verdict"] == "inconclusive"
    ordered = shared.control(
        "POST", "/v1/rollout/orders", body={"what": "abort", "reason": "INC-7", "canary": "judged"}
    )
    assert ordered.status_code < 300, ordered.text
    shared.until_phase("aborted")
    rollout = shared.status().rollout
    assert rollout
    assert "aborted by people: INC-7" in rollout.why


def _gate(machine: Machine) -> str:
    rollout = machine.status().rollout
    return rollout.gate.verdict if rollout and rollout.gate else ""


@pytest.mark.long
def test_a_controller_that_is_killed_goes_on_where_it_was(shared: Machine) -> None:
    wait = shared.plan(Step(50, 3600.0), Step(100))
    shared.apply(shared.deployment("five", wait))
    shared.until_phase("stepping")
    shared.until(lambda: shared.serves() == "five")
    went = {name: shared.serves(name) for name in (f"d{number}" for number in range(10))}
    shared.until_it_has_looked()
    shared.run("kill", shared.part("controller"))
    shared.run("rm", "--force", shared.part("router"))
    shared.run("start", shared.part("controller"))
    shared.until(lambda: shared.serves("d0") == went["d0"])
    assert {name: shared.serves(name) for name in went} == went
    shared.order("promote")
    shared.until_phase("promoted")
    assert shared.serves() == "five"


@pytest.mark.long
def test_a_canary_that_crashes_never_has_users_and_its_cause_is_named(shared: Machine) -> None:
    stable = shared.serves()
    shared.apply(shared.deployment("six", CRASHES="1"))

    def cause() -> str:
        canary = shared.status().canary
        return canary.containers[-1].cause if canary else ""

    shared.until(lambda: "exit code 3" in cause())
    assert {shared.serves(f"e{number}") for number in range(10)} == {stable}
    shared.rollback()
    shared.until_phase("aborted")


@pytest.mark.long
def test_a_canary_that_is_not_ready_says_why(shared: Machine) -> None:
    shared.apply(shared.deployment("seven", UNREADY="1"))
    shared.until(lambda: _is_unready(shared))
    status = shared.status()
    assert status.canary
    assert [(check.name, check.error) for check in status.canary.checks] == [("mcp git", "refused")]
    assert status.rollout
    assert status.rollout.canary.causes == ("mcp git: refused",)
    shared.order("abort")
    shared.until_phase("aborted")


@pytest.mark.long
def test_images_of_long_ago_are_forgotten_and_nothing_else(images: Images) -> None:
    """As many as `rollback` takes seconds for stay, and the one that serves, however old it is."""
    machine = Machine(_engine("docker"), images)
    names = [f"r{number}" for number in range(KEPT + 3)]

    def named() -> set[str]:
        tags = machine.run("images", "--format", "{{.Tag}}", f"{machine.project}/*").split()
        return set(tags)

    try:
        for name in names:
            machine.apply(_with_image(machine, machine.deployment(name)), at_once=True)
            machine.until(lambda name=name: machine.serves() == name)  # type: ignore[misc]
            machine.until_phase("promoted" if name != names[0] else "")
        machine.until(lambda: named() == set(names[-KEPT - 1 :]), 0.5)
        assert {row.revision for row in machine.releases().releases if row.kept} == set(names[-KEPT - 1 :])
        gone = machine.refused("rollback", names[0], "--by", "ann")
        assert gone.error == f"images of {names[0]} are not on this machine any more"
        oldest = names[-KEPT - 1]
        machine.rollback(oldest)
        machine.until(lambda: machine.serves() == oldest)
        machine.until_phase("promoted")
        machine.until_it_has_looked()
        assert named() == set(names[-KEPT - 1 :])
    finally:
        machine.close()


def _with_image(machine: Machine, deployment: Deployment) -> Deployment:
    """The same, from an image that nobody else has."""
    revision = deployment.revision
    lines = f"FROM {revision.containers[0].image}\nLABEL of={machine.project}-{revision.id}\n"
    image = machine.run("build", "--quiet", "-", stdin=lines)
    containers = tuple(replace(one, image=image) for one in revision.containers)
    return replace(deployment, revision=replace(revision, containers=containers))


def _is_unready(machine: Machine) -> bool:
    canary = machine.status().canary
    return canary is not None and bool(canary.checks) and canary.checks[0].name == "mcp git"
