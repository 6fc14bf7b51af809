from __future__ import annotations

import asyncio

import pytest
from tests.unit.runtime.conversations.conftest import HERE, say

from shipway_runtime.conversations.budgets import Spent
from shipway_runtime.conversations.store import BusyError, Conversation, Place, StoreError, Turned
from shipway_runtime.dialogue import Memory

DAY, MINUTE = 86400, 60
NOON = 20_000 * DAY + DAY / 2


def test_history_follows_the_branch(store):
    store.add(1, messages=say("one"))
    store.add(2, previous=1, messages=say("two"))
    store.add(3, previous=1, messages=say("three"))
    store.add(4, previous=3, messages=say("four"))
    assert store.history(4) == ["one", "three", "four"]
    assert store.history(2) == ["one", "two"]


def test_a_long_history_comes_whole_and_in_order(store):
    for turn in range(1, 101):
        store.add(turn, previous=turn - 1 or None, messages=say(str(turn)))
    assert store.history(100) == [str(turn) for turn in range(1, 101)]
    assert store.history(16) == [str(turn) for turn in range(1, 17)]


def test_a_turn_without_messages_takes_a_number_and_is_skipped(store):
    store.add(1, messages=say("one"), started=5.0)
    store.add(2, previous=1, started=6.0)
    before = store.before()
    assert (before.last, before.previous, before.first_seen) == (2, 1, 5.0)
    assert store.before(1) is not None
    assert store.before(2) is None
    assert store.before(3) is None


def test_a_new_conversation_begins_now(store):
    before = store.before()
    assert (before.last, before.previous, before.past) == (0, None, ())
    assert before.first_seen > 1e9


def test_what_a_framework_remembers_comes_back(store):
    store.add(1, messages=say("one"), memory=Memory("toy", {"calls": [1]}))
    store.add(2, previous=1, messages=say("two"))
    assert [past.memory for past in store.before().past] == [Memory("toy", {"calls": [1]}), None]


def test_a_turn_comes_back_as_it_was_added(store):
    store.add(1, messages=say("één"), response={"output": [1], "usage": None})
    turned = store.run(store.store.read(HERE, 1))
    assert turned == Turned(1, None, 1.0, "ok", say("één"), None, {"output": [1], "usage": None})
    assert store.run(store.store.read(HERE, 2)) is None
    assert store.run(store.store.read(Place("acme", "c"), 1)) is None


@pytest.mark.parametrize("text", ["\x00", "\ud800", "😀", '"', "\u2028"])
def test_any_text_that_json_can_hold_comes_back(store, text):
    store.add(1, messages=say(text))
    assert store.history(1) == [text]


def test_a_conversation_belongs_to_its_tenant(store):
    store.add(1, messages=say("of acme"), place=Place("acme", "c"))
    assert store.before(1, Place("globex", "c")) is None
    assert store.before(place=Place("globex", "c")).last == 0
    assert store.before(1) is None
    store.add(1, messages=say("of globex"), place=Place("globex", "c"))
    assert store.history(1, Place("acme", "c")) == ["of acme"]
    assert not store.run(store.store.delete(HERE))
    assert store.run(store.store.delete(Place("globex", "c")))
    assert store.history(1, Place("acme", "c")) == ["of acme"]


def test_turns_come_in_pages(store):
    for turn in range(1, 8):
        store.add(turn, previous=turn - 1 or None, messages=say(str(turn)))

    def page(**wanted):
        return [turned.turn for turned in store.run(store.store.turns(HERE, **wanted))]

    assert page(limit=3) == [1, 2, 3]
    assert page(limit=3, after=3) == [4, 5, 6]
    assert page(limit=3, newest_first=True) == [7, 6, 5]
    assert page(limit=3, newest_first=True, after=2) == [1]
    assert page(after=7) == []


def test_a_deleted_turn_is_gone_and_its_chain_holds(store):
    for turn in range(1, 5):
        store.add(turn, previous=turn - 1 or None, messages=say(str(turn)), memory=Memory("toy", turn))
    assert store.run(store.store.delete_turn(HERE, 2))
    assert not store.run(store.store.delete_turn(HERE, 2))
    assert not store.run(store.store.delete_turn(HERE, 9))
    assert store.history(4) == ["1", "3", "4"]
    assert store.run(store.store.read(HERE, 2)) is None
    assert store.before(2) is None
    assert [t.turn for t in store.run(store.store.turns(HERE))] == [1, 3, 4]
    store.run(store.store.delete_turn(HERE, 4))
    before = store.before()
    assert (before.last, before.previous) == (4, 3)


def test_a_conversation_may_exist_before_its_first_turn(store):
    assert store.run(store.store.find(HERE)) is None
    assert not store.run(store.store.update(HERE, {}))
    assert store.run(store.store.create(HERE, {"topic": "ships"}))
    assert not store.run(store.store.create(HERE, {"topic": "other"}))
    found = store.run(store.store.find(HERE))
    assert found == Conversation(found.started, {"topic": "ships"}, 0)
    store.add(1, messages=say("one"))
    assert store.run(store.store.update(HERE, {"topic": "sails"}))
    assert store.run(store.store.find(HERE)) == Conversation(found.started, {"topic": "sails"}, 1)
    assert store.before().first_seen == found.started


def test_a_conversation_begins_with_its_first_turn(store):
    store.add(1, messages=say("one"), started=5.0)
    assert store.run(store.store.find(HERE)) == Conversation(5.0, {}, 1)


def test_numbers_of_a_deleted_conversation_are_not_used_again(store):
    store.add(1, messages=say("one"))
    store.add(2, previous=1, messages=say("two"))
    assert store.run(store.store.delete(HERE))
    assert not store.run(store.store.delete(HERE))
    assert store.run(store.store.find(HERE)) is None
    assert store.run(store.store.turns(HERE)) == []
    before = store.before()
    assert (before.last, before.previous, before.past) == (2, None, ())
    with pytest.raises(StoreError, match="not kept"):
        store.add(2, messages=say("again"))
    store.add(3, messages=say("three"))
    assert store.history(3) == ["three"]


def test_a_number_is_taken_once(store):
    store.add(1, messages=say("one"))
    with pytest.raises(StoreError, match="not kept"):
        store.add(1, messages=say("other"), started=2.0)
    assert store.history(1) == ["one"]


def test_spending_is_counted_in_each_window(store):
    def spent(at, tenant="acme"):
        return store.run(store.store.spent(tenant, (MINUTE, DAY), at))

    assert spent(NOON) == {MINUTE: Spent(), DAY: Spent()}
    store.run(store.store.spend("acme", (MINUTE, DAY), 100, 0.25, NOON))
    store.run(store.store.spend("acme", (MINUTE, DAY), 10, 0.5, NOON + 59))
    assert spent(NOON + 59) == {MINUTE: Spent(110, 0.75), DAY: Spent(110, 0.75)}
    assert spent(NOON + 60) == {MINUTE: Spent(), DAY: Spent(110, 0.75)}
    store.run(store.store.spend("acme", (MINUTE, DAY), 1, 0.0, NOON + 61))
    assert spent(NOON + 61) == {MINUTE: Spent(1), DAY: Spent(111, 0.75)}
    assert spent(NOON + DAY) == {MINUTE: Spent(), DAY: Spent()}
    assert spent(NOON, None) == {MINUTE: Spent(), DAY: Spent()}


def test_a_clock_that_is_behind_brings_no_old_window_back(store):
    store.run(store.store.spend(None, (MINUTE,), 5, 0.0, NOON + 60))
    store.run(store.store.spend(None, (MINUTE,), 7, 0.0, NOON + 59))
    assert store.run(store.store.spent(None, (MINUTE,), NOON + 60)) == {MINUTE: Spent(12)}


def test_nothing_to_count_is_no_error(store):
    store.run(store.store.spend(None, (), 5, 0.0, NOON))


def test_turns_of_one_conversation_wait_for_each_other(store):
    order = []

    async def turn(name, place=HERE):
        async with store.store.hold(place):
            order.append(f"{name} begins")
            await asyncio.sleep(0.02)
            order.append(f"{name} ends")

    async def three():
        await asyncio.gather(turn("a"), turn("b"), turn("other", Place("acme", "c")))

    store.run(three())
    order = [line for line in order if not line.startswith("other")]
    assert order == ["a begins", "a ends", "b begins", "b ends"]


def test_several_turns_may_be_added_while_a_conversation_is_held(store):
    async def several():
        async with store.store.hold(HERE):
            for turn in (1, 2, 3):
                turned = Turned(turn, turn - 1 or None, float(turn), "ok", say(str(turn)))
                await store.store.add(HERE, turned, more=turn < 3)

    store.run(several())
    assert store.history(3) == ["1", "2", "3"]


@pytest.mark.parametrize("wait_s", [0, 0.01])
def test_a_busy_conversation_is_waited_for_no_longer_than_said(open_store, wait_s):
    store = open_store(wait_s=wait_s)

    async def two():
        async with store.store.hold(HERE):
            with pytest.raises(BusyError):
                async with store.store.hold(HERE):
                    pass
        async with store.store.hold(HERE):
            pass

    store.run(two())
