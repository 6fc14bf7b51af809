"""The scorer's process: what it is asked, and what becomes of what it has when it hangs or ends."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from tests.loops import on_a_loop

from shipway_runtime.contract import Outcome
from shipway_runtime.live import scorer as module
from shipway_runtime.live import scoring
from shipway_runtime.live.calling import ScoreError
from shipway_runtime.live.reading import Reading
from shipway_runtime.live.sample import Notes, Sample
from shipway_runtime.live.scorer import Scorer
from shipway_runtime.telemetry import outcomes
from shipway_runtime.telemetry.outcomes import Ended

pytestmark = pytest.mark.slow

TOGETHER = """
import time
here = []

def score(turn):
    here.append(turn)
    while len(here) < 4:
        time.sleep(0.01)
    return 1
"""
SAMPLE = Sample("c", 1, None, [{"role": "user", "content": "?"}], "!")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """`project(source)` makes `source` the scorer of this process's manifest."""

    def write(source: str) -> None:
        (tmp_path / "live_scorer.py").write_text(source)
        live = {"entrypoint": "live_scorer:score", "sample": 1}
        manifest = {"name": "t", "entrypoint": "a:a", "live": live}
        (tmp_path / "shipway.json").write_text(json.dumps(manifest))
        monkeypatch.setenv("SHIPWAY_MANIFEST", str(tmp_path / "shipway.json"))
        monkeypatch.setenv("SHIPWAY_SOURCE", str(tmp_path))
        monkeypatch.setenv("SHIPWAY_ENV", "development")

    return write


@contextlib.asynccontextmanager
async def running():
    scorer = Scorer()
    task = asyncio.create_task(scorer.run())
    try:
        async with asyncio.timeout(60):
            yield scorer
    finally:
        task.cancel()
        await asyncio.wait([task])


@on_a_loop
async def test_turns_are_scored_side_by_side(project):
    project(TOGETHER)
    async with running() as scorer:
        await scorer.ready()
        assert await asyncio.gather(*(scorer.score(SAMPLE) for _ in range(4))) == [1.0] * 4


@on_a_loop
async def test_one_that_hangs_is_ended_and_started_again(project, monkeypatch):
    monkeypatch.setattr(module, "SCORE_S", 0.5)
    monkeypatch.setattr(module, "MARGIN_S", 0.0)
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.0)
    project("import time, pathlib\ndef score(turn):\n    if not turn.answer: time.sleep(600)\n    return 1")
    async with running() as scorer:
        await scorer.ready()
        silent = Sample("c", 2, None, [], "")
        with pytest.raises(ScoreError, match="and its process was ended"):
            await scorer.score(silent)
        while True:
            await scorer.ready()
            with contextlib.suppress(ScoreError):
                assert await scorer.score(SAMPLE) == 1.0
                break
            await asyncio.sleep(0.05)


@on_a_loop
async def test_one_that_wants_too_much_memory_says_so(project, monkeypatch, caplog):
    monkeypatch.setattr(module, "memory", lambda: 120_000_000)
    project("def score(turn): return len(bytearray(10**9)) / 10**9")
    async with running() as scorer:
        await scorer.ready()
        with pytest.raises(ScoreError, match="MemoryError"):
            await scorer.score(SAMPLE)


def test_its_memory_is_half_of_the_containers(tmp_path):
    limit = tmp_path / "memory.max"
    assert module.memory(limit) == module.MEMORY
    limit.write_text("max\n")
    assert module.memory(limit) == module.MEMORY
    limit.write_text("536870912\n")
    assert module.memory(limit) == 268435456


# -- Outcomes that wait -----------------------------------------------------------------------------------


class Slow:
    """A scorer that never comes to an end. (An implementation of what `Scoring` asks for.)"""

    broken, problem = False, None

    async def ready(self) -> None: ...

    async def score(self, sample: Sample) -> float:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
def written():
    lines: list[str] = []
    stop = outcomes.carry(lines.append)
    yield lines
    stop()


def ended(turn: int, made: Notes, status: str = "ok") -> Ended:
    return Ended(Outcome("c", turn, "r", None, 0.0, 0.0, 1.0, status, 1.0), notes=made)


@contextlib.asynccontextmanager
async def following(redact=str, reading=None):
    """Outcomes that wait for `Slow`."""
    ours = scoring.Scoring(Slow(), redact, reading)
    task = asyncio.create_task(ours.run())
    try:
        async with asyncio.timeout(60):
            yield ours
    finally:
        await ours.finish()
        task.cancel()
        await asyncio.wait([task])


@on_a_loop
async def test_no_more_wait_than_there_is_room_for(written, make_notes):
    async with following() as ours:
        taken = [ours.take(ended(turn, make_notes())) for turn in range(scoring.MOST + 5)]
        assert taken == [True] * scoring.MOST + [False] * 5
        assert (ours.waiting, ours.results["dropped"]) == (scoring.MOST, 5)


@on_a_loop
async def test_one_that_waits_for_too_long_goes_without(written, make_notes, monkeypatch):
    monkeypatch.setattr(scoring, "WAIT_S", 0.05)
    async with following() as ours:
        for turn in range(scoring.AT_ONCE + 2):
            ours.take(ended(turn, make_notes()))
        while len(written) < 2:
            await asyncio.sleep(0.01)
        assert ours.results["dropped"] == 2
        assert ours.waiting == scoring.AT_ONCE


@on_a_loop
async def test_nothing_is_lost_at_the_end(written, make_notes, monkeypatch):
    monkeypatch.setattr(scoring, "LAST_S", 0.1)
    async with following() as ours:
        for turn in range(10):
            ours.take(ended(turn, make_notes()))
        await ours.finish()  # before anybody has looked
        assert sorted(json.loads(line)["turn"] for line in written) == list(range(10))
        assert {json.loads(line)["score"] for line in written} == {None}
        assert ours.take(ended(11, make_notes())) is False


@on_a_loop
async def test_a_turn_that_cannot_be_read_has_an_outcome(written, make_notes):
    broken = make_notes()
    broken.answer = object()
    async with following(str.strip) as ours:
        assert ours.take(ended(1, broken))
        while not written:
            await asyncio.sleep(0.01)
        assert ours.results["failed"] == 1


@on_a_loop
async def test_what_failed_is_read_however_many_wait(written, make_notes):
    texts: list[str] = []
    async with following(reading=Reading(texts.append, str)) as ours:
        for turn in range(scoring.MOST):
            assert ours.take(ended(turn, make_notes()))
        while ours._over:
            await asyncio.sleep(0.01)
        assert ours.take(ended(100, make_notes(), "error")) is False
        assert ours.take(ended(101, make_notes(), "cancelled")) is False
        while not texts:
            await asyncio.sleep(0.01)
        assert [json.loads(text)["turn"] for text in texts] == [100]
        assert ours.results["dropped"] == 0
