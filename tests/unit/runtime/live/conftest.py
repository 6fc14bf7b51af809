"""`scored(scorer)` starts a runtime with a scorer of turns: `scorer` is the source of evals/live.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runtime.conftest import Running, Start

from shipway_runtime.context import Context
from shipway_runtime.dialogue import Dialogue
from shipway_runtime.live.sample import Notes

AGENT = "async def agent(messages, ctx): return messages[-1]['content'].upper()"

Scored = Callable[..., Running]


@pytest.fixture
def scored(start: Start, tmp_path: Path) -> Scored:
    def begin(
        scorer: str, agent: str = AGENT, *, sample: float = 1.0, name: str = "score", **more: Any
    ) -> Running:
        (tmp_path / "evals").mkdir(exist_ok=True)
        (tmp_path / "evals/live.py").write_text(scorer)
        env = {"TMPDIR": str(tmp_path)} | more.pop("env", {})  # where lines wait that control has not taken
        return start(agent, env=env, live={"entrypoint": f"evals.live:{name}", "sample": sample}, **more)

    return begin


def outcomes(running: Running, count: int) -> list[dict[str, Any]]:
    """The outcomes on stdout, once there are so many."""
    running.wait_for(lambda: len(running.outcomes()) >= count, f"{count} outcomes")
    return running.outcomes()


def scores(running: Running, count: int) -> list[float | None]:
    return [outcome["score"] for outcome in outcomes(running, count)]


def metrics(running: Running) -> dict[str, float]:
    lines = running.admin.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def results(running: Running) -> dict[str, float]:
    """What became of sampled turns, as the metrics say."""
    begin = 'shipway_live_scores_total{result="'
    found = metrics(running).items()
    return {name.removeprefix(begin)[:-2]: n for name, n in found if name.startswith(begin) and n}


@pytest.fixture
def make_notes() -> Callable[[], Notes]:
    """What was taken down of a turn."""

    def make() -> Notes:
        context = Context("c", 1, None, None, {}, {}, None, Path(), {})  # type: ignore[arg-type]
        return Notes(Dialogue([{"role": "user", "content": "?"}]), context)

    return make
