"""No restriction loosens anything: whatever both let through, each would have let through alone."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from shipway_runtime.config import Deployment, Places
from shipway_runtime.contract import ContractError, Kill, Limits, Manifest, Policy, decode
from shipway_runtime.policy import rules
from shipway_runtime.policy.accounts import Account, Amount
from shipway_runtime.policy.changes import describe
from shipway_runtime.policy.merge import Bounds, meet
from shipway_runtime.policy.rules import PolicyError

SECONDS = st.sampled_from([1, 7, 60, 90, 3600, 86400])
RATES = st.none() | st.tuples(st.integers(1, 30), SECONDS)
NAMES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple)
LIMITS = st.builds(
    Limits,
    requests=RATES,
    concurrency=st.none() | st.integers(1, 5),
    tokens=RATES,
    spend_usd=st.none() | st.tuples(st.floats(0.5, 30), SECONDS),
)
POLICIES = st.builds(
    Policy,
    kill=st.builds(Kill, st.booleans(), NAMES, NAMES, NAMES, NAMES),
    limits=LIMITS,
    tenants=st.dictionaries(st.sampled_from(["a", "b"]), LIMITS),
    model=st.none() | st.sampled_from(["x", "y"]),
)
TURNS = st.lists(st.tuples(st.floats(0, 4000), st.integers(0, 3)), min_size=20, max_size=60)


def let_through(bounds: Bounds, turns: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """The turns that get in: each after a pause, and over at once, having used so much."""
    account, now, passed = Account(), 0.0, []
    for pause, used in turns:
        now += pause
        need = Amount(used, used)
        if account.look(bounds, need, now, now) is None:
            account.settle(bounds, account.take(bounds, need), need, now)
            passed.append((now, used))
    return passed


@given(POLICIES, POLICIES, TURNS, st.sampled_from(["a", "b", None]))
def test_never_looser_than_either(base, restriction, turns, tenant):
    both = meet(base, restriction)
    passed = let_through(both.of(tenant), turns)
    pauses = [
        (at - before, used) for (at, used), (before, _) in zip(passed, [(0.0, 0), *passed], strict=False)
    ]
    for one in (base, restriction):
        assert len(let_through(meet(one).of(tenant), pauses)) == len(passed)


@given(POLICIES, POLICIES)
def test_kills_are_united_and_order_does_not_matter(base, restriction):
    both, turned = meet(base, restriction), meet(restriction, base)
    for kind in Kill.__slots__[1:]:
        wanted = {*getattr(base.kill, kind), *getattr(restriction.kill, kind)}
        assert set(getattr(both.kill, kind)) == wanted
    assert both.kill.all == (base.kill.all or restriction.kill.all)
    assert (both.kill, both.bounds, both.tenants) == (turned.kill, turned.bounds, turned.tenants)


@given(POLICIES)
def test_nothing_restricts_nothing(base):
    assert meet(base) == meet(base, Policy()) == meet(base, base)


def test_of_two_limits_the_one_that_implies_the_other():
    base = Policy(limits=Limits(requests=(60, 60), concurrency=50))
    assert meet(base, Policy(limits=Limits(requests=(10, 60)))).bounds == Bounds(((10, 60),), 50)
    # A thousand in a day is neither more nor less than sixty in a minute.
    assert meet(base, Policy(limits=Limits(requests=(1000, 86400)))).bounds.requests == (
        (60, 60),
        (1000, 86400),
    )


def test_a_tenant_s_own_limits_come_first_one_by_one():
    base = Policy(limits=Limits(requests=(60, 60), concurrency=5), tenants={"acme": Limits((600, 60))})
    assert meet(base).of("acme") == Bounds(((600, 60),), 5)
    assert meet(base).of("other") == meet(base).of(None) == Bounds(((60, 60),), 5)
    restricted = meet(base, Policy(limits=Limits(requests=(100, 60))))
    assert restricted.of("acme").requests == ((100, 60),)
    assert restricted.of("other").requests == ((60, 60),)


def test_a_change_in_words():
    before = Policy(kill=Kill(tools=("a",)), limits=Limits(requests=(60, 60)))
    after = Policy(
        kill=Kill(all=True, tools=("b",)),
        limits=Limits(spend_usd=(20.0, 86400)),
        tenants={"acme": Limits(concurrency=1)},
        model="haiku",
    )
    assert describe(before, after) == (
        "kill.all false -> true; kill.tools +b -a; limits.requests 60/min -> none; "
        "limits.spend_usd none -> 20/day; tenants.acme.concurrency none -> 1; model as configured -> haiku"
    )
    assert describe(after, after) == "nothing"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
RATE_LIKE = st.lists(JSON | st.integers(-1, 10**20), min_size=2, max_size=2)
LIMITS_LIKE = JSON | st.dictionaries(st.sampled_from(Limits.__slots__), JSON | RATE_LIKE)
KILL_LIKE = st.dictionaries(st.sampled_from(Kill.__slots__), JSON | st.lists(st.text(max_size=3)))
ANY = JSON | st.fixed_dictionaries(
    {},
    optional={
        "kill": JSON | KILL_LIKE,
        "limits": LIMITS_LIKE,
        "tenants": JSON | st.dictionaries(st.text(max_size=3), LIMITS_LIKE, max_size=2),
        "model": JSON,
        "format": JSON,
    },
)


@given(ANY)
def test_whatever_somebody_writes_is_a_policy_or_is_refused(data):
    """Nothing else: it is read on the control thread, and what breaks that ends the process."""
    manifest = Manifest("a", "a:a")
    deployment = Deployment(manifest, manifest.settings, "prod", "r-1", Places())
    try:
        policy = decode(Policy, json.dumps(data), "here")
        rules.check(policy, deployment, "here")
    except (ContractError, PolicyError):
        return
    let_through(meet(policy).bounds, [(1.0, 1)] * 5)
    assert describe(Policy(), policy)
