from __future__ import annotations

import asyncio
import queue
import threading
import time
from pathlib import Path

import pytest

from shipway_runtime.health.heart import Heart


def test_a_heart_that_never_beat_has_the_start_budget():
    assert Heart().document()[1]["status"] == "starting"
    status, document = Heart(start_s=0.0).document()
    assert (status, document["status"]) == (503, "stalled")


def beaten(**limits):
    async def run():
        heart = Heart(**limits)
        beating = asyncio.create_task(heart.beat())
        await asyncio.sleep(0)
        beating.cancel()
        return heart

    return asyncio.run(run())


def test_a_heart_that_stops_is_blocked_and_then_stalled():
    assert beaten().document() == (200, {"status": "ok"})
    blocked, stalled = beaten(stall_s=0.001), beaten(dead_s=0.001)
    time.sleep(0.01)
    status, document = blocked.document()
    assert (status, document["status"]) == (200, "blocked")
    assert "heart.py" in document["at"], "here, the main thread is asking"
    assert stalled.document()[0] == 503


def test_a_stall_is_logged_once(caplog):
    heart = beaten(stall_s=0.001)
    time.sleep(0.01)
    heart.watch()
    heart.watch()
    assert caplog.text.count("has been blocked") == 1


@pytest.mark.slow
def test_the_end_of_a_stall_says_how_long_it_was(caplog):
    async def run():
        heart = Heart(stall_s=0.7)
        beating = asyncio.create_task(heart.beat())
        await asyncio.sleep(0)
        time.sleep(0.8)
        heart.watch()
        while "turns again" not in caplog.text:
            await asyncio.sleep(0.01)
            heart.watch()
        beating.cancel()

    asyncio.run(run())
    assert len(caplog.records) == 2
    assert "has been blocked for 0." in caplog.records[0].getMessage()
    assert "turns again; it was blocked for 0." in caplog.records[1].getMessage()


def blocked_at(source):
    """The line that is named while the main thread waits in a library of the standard one."""
    heart, named = Heart(source), []

    def look():
        while not (line := heart.line()).endswith(" in wait"):
            pass
        named.append(line)
        waiting.put(None)

    waiting = queue.Queue()
    looking = threading.Thread(target=look)
    looking.start()
    waiting.get()
    looking.join()
    return named[0]


def test_the_agents_own_line_is_named_before_the_librarys():
    line = blocked_at(Path(__file__).parent)
    assert line.startswith(f"{__file__}:")
    assert " in blocked_at, in /" in line
    assert line.endswith(" in wait")


def test_without_a_line_of_the_agent_the_librarys_is_named():
    assert blocked_at(Path("/nowhere")).endswith(" in wait")
