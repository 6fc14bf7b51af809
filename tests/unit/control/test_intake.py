"""The queue in front of the database: bounded, and nobody is told of what is not committed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.control.conftest import AT, lines, outcome

from shipway.control import fleet
from shipway.control.deployments import Deployment
from shipway.control.gates.watermarks import Watermarks
from shipway.control.http.answers import Refused
from shipway.control.outcomes import rows
from shipway.control.outcomes.intake import Intake
from shipway.control.store.database import Database, StoreError

HERE = Deployment("support", "prod")


def taken(request: int, amount: int) -> rows.Taken:
    sent = [outcome(f"c-{request}", turn) for turn in range(amount)]
    return rows.Taken(HERE, rows.read(lines(*sent)), AT + 100)


def count(database: Database) -> int:
    with database.read() as transaction:
        return int(transaction.rows("SELECT count(*) FROM main.outcome")[0][0])


@contextlib.asynccontextmanager
async def running(database: Database, most: int) -> AsyncIterator[Intake]:
    with ThreadPoolExecutor(1) as writer:
        intake = Intake(database, writer, Watermarks(), 1e9, most)
        task = asyncio.create_task(intake.run())
        yield intake
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.slow
def test_while_the_database_is_busy_only_so_many_may_wait(open_database):
    database, other = open_database(), open_database()
    assert count(database) == 0

    async def scenario() -> None:
        async with running(database, most=100) as intake:
            with other.write():  # nobody else can write now
                waiting = [asyncio.create_task(intake.take(taken(n, 20))) for n in range(5)]
                await asyncio.sleep(0)
                with pytest.raises(Refused) as refused:
                    await intake.take(taken(9, 1))
                assert (refused.value.status, refused.value.headers) == (429, {"retry-after": "2"})
                await asyncio.sleep(0.2)
                assert intake.waiting == 100
                assert not any(task.done() for task in waiting)
                assert count(database) == 0
            await asyncio.gather(*waiting)
            assert count(database) == 100
            await intake.take(taken(9, 1))
            assert (intake.new, intake.again, intake.refused, intake.waiting) == (101, 0, 1, 0)

    asyncio.run(scenario())


def test_what_many_requests_bring_is_committed_together_each_in_its_deployment(open_database):
    database, there = open_database(), Deployment("support", "staging")

    async def scenario() -> None:
        async with running(database, most=1000) as intake:
            sent = [taken(number % 7, 5) for number in range(20)]
            sent += [rows.Taken(there, one.outcomes, one.at + 1) for one in sent[:3]]
            await asyncio.gather(*(intake.take(one) for one in sent))
            assert (intake.new, intake.again) == (35 + 15, 65)

    asyncio.run(scenario())
    with database.read() as transaction:
        shown = [fleet.show(transaction, of, AT)["revisions"][0]["turns"] for of in (HERE, there)]
    assert shown == [35, 15]


def test_what_could_not_be_committed_is_told_and_can_come_again(open_database):
    database = open_database()

    async def scenario() -> None:
        async with running(database, most=100) as intake:
            database.close()
            with pytest.raises(StoreError):
                await intake.take(taken(1, 20))
            assert intake.waiting == 0
            database.open()
            await intake.take(taken(1, 20))
            await asyncio.gather(*(intake.take(taken(1, 20)) for _ in range(3)))
            assert (intake.new, intake.again) == (20, 60)
        assert count(database) == 20

    asyncio.run(scenario())
