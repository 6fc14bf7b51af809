"""Whether the database can be written: asked in the background, so that a probe never waits for it.

In: the database. Out: `problem`, None while it can; the log has it when it changes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from shipway.control.store.database import StoreError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from shipway.control.store.database import Database

LOOK_S, TROUBLE_S = 5.0, 1.0  # between two looks, and while there is a problem
ANSWER_S = 5.0

log = logging.getLogger("shipway.control")


class Readiness:
    """`run` belongs to the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.problem: str | None = "the database was not asked yet"

    async def run(self, thread: Executor) -> None:
        """Ask again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.run_in_executor(thread, self._ask)
            done, _ = await asyncio.wait([asked], timeout=ANSWER_S)
            self._note(asked.result() if done else f"the database did not answer within {ANSWER_S:g} s")
            if not done:
                self._note(await asked)  # no second one beside one that hangs
            await asyncio.sleep(TROUBLE_S if self.problem else LOOK_S)

    def _ask(self) -> str | None:
        try:
            with self._database.write():
                return None
        except StoreError as error:
            return " ".join(filter(None, [f"{error}.", error.hint]))

    def _note(self, problem: str | None) -> None:
        if problem and problem != self.problem:
            log.warning("%s", problem)
        self.problem = problem
