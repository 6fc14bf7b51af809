from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipway_runtime.conversations.budgets import Spent
from shipway_runtime.policy.accounts import Account, Accounts, Amount
from shipway_runtime.policy.merge import Bounds
from shipway_runtime.policy.meters import SOON_S, Bucket, Window

RATE = st.tuples(st.integers(1, 50), st.integers(1, 100))
DAY = 86400
NOON = 20_000.5 * DAY


@given(RATE, st.lists(st.floats(0, 20), max_size=200))
def test_a_bucket_never_lets_more_through_than_its_rate(rate, pauses):
    bucket, now, times = Bucket(0.0), 0.0, []
    for pause in pauses:
        now += pause
        if not bucket.look(rate, now):
            bucket.put()
            times.append(now)
    amount, seconds = rate
    for i, begin in enumerate(times):
        for j in range(i, len(times)):
            assert j - i + 1 <= amount + (times[j] - begin) * amount / seconds + 1e-6


@given(RATE, st.integers(1, 100))
def test_retry_after_is_true(rate, burst):
    bucket = Bucket(0.0)
    for _ in range(burst):
        if wait := bucket.look(rate, 0.0):
            assert bucket.look(rate, wait * 0.99) > 0
            assert bucket.look(rate, wait) == 0
            return
        bucket.put()
    assert burst <= rate[0]


def test_another_rate_applies_to_what_was_used():
    bucket = Bucket(0.0)
    for _ in range(5):
        assert bucket.look((10, 60), 0.0) == 0
        bucket.put()
    assert bucket.look((4, 60), 0.0) == 30.0
    assert bucket.look((6, 60), 0.0) == 0


def test_a_window_is_over_at_midnight_utc():
    window = Window(DAY)
    assert window.look((100, DAY), 60, NOON) == 0
    window.use(60, NOON)
    assert window.look((100, DAY), 40, NOON) == 0
    assert window.look((100, DAY), 60, NOON) == DAY / 2
    assert window.look((100, DAY), 60, NOON + DAY / 2) == 0


def test_what_is_reserved_comes_back_soon():
    window = Window(DAY)
    window.reserve(60)
    assert window.look((100, DAY), 60, NOON) == SOON_S
    window.reserve(-60)
    assert window.look((100, DAY), 60, NOON) == 0


def test_who_needs_more_than_there_ever_is_gets_in_while_nothing_is_used():
    window = Window(60)
    assert window.look((100, 60), 4096, 0.0) == 0
    window.use(1, 0.0)
    assert window.look((100, 60), 4096, 1.0) == 59


def test_an_account_holds_what_a_turn_may_need_and_counts_what_it_used():
    account, bounds = Account(), Bounds(tokens=((100, DAY),), spend=((1.0, DAY),))
    need = Amount(50, 0.1)
    held = [account.take(bounds, need) for _ in range(2) if account.look(bounds, need, 0.0, NOON) is None]
    assert len(held) == 2
    assert account.look(bounds, need, 0.0, NOON).retry_s == SOON_S
    for hold in held:
        account.settle(bounds, hold, Amount(20, 0.01), NOON)
    assert account.document()["tokens"] == {str(DAY): {"used": 40.0, "reserved": 0.0}}
    assert account.document()["running"] == 0
    assert account.look(bounds, need, 0.0, NOON) is None


def test_a_limit_that_comes_in_the_midst_of_a_turn_counts_it_and_holds_nothing_for_it():
    account, bounds, need = Account(), Bounds(tokens=((100, DAY),)), Amount(50)
    assert account.look(Bounds(), need, 0.0, NOON) is None
    held = account.take(Bounds(), need)
    assert account.look(bounds, need, 0.0, NOON) is None
    account.settle(bounds, held, Amount(30), NOON)
    assert account.document()["tokens"] == {str(DAY): {"used": 30.0, "reserved": 0.0}}


def test_the_store_knows_of_other_replicas():
    account, bounds = Account(), Bounds(tokens=((100, DAY),), spend=((1.0, DAY),))
    account.know(bounds, {DAY: Spent(100, 0.5)}, NOON)
    refusal = account.look(bounds, Amount(), 0.0, NOON)
    assert (refusal.rule, refusal.retry_s) == ("tokens", DAY / 2)


def test_of_many_tenants_the_one_away_longest_is_forgotten_but_none_that_runs():
    accounts = Accounts(most=3)
    running = accounts.of("running")
    running.take(Bounds(), Amount())
    for number in range(10):
        accounts.of(f"tenant {number}")
    assert len(accounts) == 3
    assert accounts.of("running") is running
    assert [shown["tenant"] for shown in accounts.documents(2)] == ["running", "tenant 9"]
