"""Several processes, or several stores, on one database."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time

import pytest
from tests.unit.runtime.conversations import turns_process
from tests.unit.runtime.conversations.conftest import HERE, say

from shipway_runtime.conversations.store import BusyError, StoreError, Turned

pytestmark = pytest.mark.slow


def run(database, turns, tasks=1, lease_s=15.0):
    command = (sys.executable, "-m", turns_process.__name__, *database, *map(str, (turns, tasks, lease_s)))
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return [tuple(map(float, line.split())) for line in out.splitlines()]


def test_turns_of_many_processes_never_overlap_and_none_is_lost(database):
    processes = [run(database, turns=25, tasks=5) for _ in range(3)]
    turns = sorted(line for process in processes for line in finish(process))
    assert [number for number, _, _ in turns] == list(range(1, 76))
    assert all(until <= had for (_, _, until), (_, had, _) in itertools.pairwise(turns))


def test_who_is_killed_loses_the_conversation_with_its_lease(database):
    held = run(database, turns=0, lease_s=1.0)
    assert held.stdout.readline() == "held\n", held.stderr.read()
    began = time.monotonic()
    waiting = run(database, turns=1, lease_s=1.0)
    time.sleep(2)  # two leases: it renews, and the other one waits
    assert waiting.poll() is None
    held.kill()
    held.communicate()
    [(number, _, _)] = finish(waiting)
    assert number == 1
    assert time.monotonic() - began >= 2


def test_a_turn_that_lost_its_lease_is_not_stored(open_store):
    slow, quick = open_store(lease_s=0.1).store, open_store().store
    late = Turned(1, None, 1.0, "ok", say("late"))

    async def turns():
        async with slow.hold(HERE):
            slow._watching.cancel()  # its main loop hangs
            await asyncio.sleep(0.2)
            async with quick.hold(HERE):
                with pytest.raises(StoreError, match="another process went on"):
                    await slow.add(HERE, late)
                await quick.add(HERE, Turned(1, None, 2.0, "ok", say("in time")))
            with pytest.raises(StoreError, match="another process went on"):
                await slow.add(HERE, late)

    store = open_store()
    store.run(turns())
    assert store.history(1) == ["in time"]


def test_a_turn_whose_conversation_was_deleted_is_not_stored(open_store):
    store, other = open_store(), open_store()
    store.add(1, messages=say("one"))

    async def turn():
        async with store.store.hold(HERE):
            assert await other.store.delete(HERE)
            with pytest.raises(StoreError, match="deleted"):
                await store.store.add(HERE, Turned(2, 1, 2.0, "ok", say("two")))

    store.run(turn())
    assert other.run(other.store.find(HERE)) is None
    store.add(2, messages=say("afresh"), started=3.0)
    assert other.history(2) == ["afresh"]


def test_another_process_is_not_waited_for_longer_than_said(open_store):
    one, other = open_store().store, open_store(wait_s=0).store

    async def turns():
        async with one.hold(HERE):
            with pytest.raises(BusyError):
                async with other.hold(HERE):
                    pass
        async with other.hold(HERE):
            pass

    open_store().run(turns())


def test_a_process_with_many_turns_lets_another_one_in_between(open_store):
    stores = open_store(), open_store()
    assert [store.check() for store in stores] == [None, None]
    busy, other = (store.store for store in stores)
    order = []

    async def turn(name, store):
        async with store.hold(HERE):
            order.append(name)
            await asyncio.sleep(0.3)  # as turns are longer than the time between two looks

    async def turns():
        waiting = [asyncio.create_task(turn("busy", busy)) for _ in range(4)]
        await asyncio.sleep(0.1)
        await asyncio.gather(*waiting, turn("other", other))

    open_store().run(turns())
    assert order.index("other") <= 2


def test_a_conversation_that_nothing_came_of_leaves_no_trace(open_store):
    store = open_store()

    async def nothing():
        async with store.store.hold(HERE):
            pass
        return await store.store._database.fetch("SELECT count(*) FROM main.conversation", {})

    assert store.run(nothing())[0][0] == 0
