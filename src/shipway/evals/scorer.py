"""The project's scorer: `score(case, answer) -> float | bool | dict`, in a process of its own.

In: the Python of the project's environment, `module:function`, answers. Out: a Mark for each. What the
scorer raises is missing data, with its traceback; never a pass. Errors: StackError when it cannot be run.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shipway.errors import StackError
from shipway.evals import scorer_process
from shipway.evals.mark import Mark, missing
from shipway.evals.scoring import SCORER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from shipway.evals.answer import Answer
    from shipway.evals.case import Case

PASSES = 0.5
"""A score passes from here on, where the scorer does not say `passed`."""
DEADLINE_S = 120.0
_LONGEST = 64_000_000  # bytes of one line


class Scorer:
    """A running scorer. Call it with a case and its answer."""

    def __init__(self, process: Process, python: Path) -> None:
        self._process, self._python = process, python
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._count = 0
        self._reader: asyncio.Task[None] | None = None
        self._ended: str | None = None

    async def __call__(self, case: Case, answer: Answer) -> Mark:
        if self._ended:
            return missing(SCORER, self._ended)
        self._count += 1
        number = self._count
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = {"number": number, "case": dict(case.line), "answer": described(answer)}
        try:
            async with asyncio.timeout(DEADLINE_S * len(self._waiting)):  # functions may run one by one
                assert self._process.stdin
                self._process.stdin.write(json.dumps(line).encode() + b"\n")
                await self._process.stdin.drain()
                said = await future
        except TimeoutError:
            return missing(SCORER, f"no score, with {DEADLINE_S:g} s for each answer")
        except OSError:
            return missing(SCORER, self._ended or "the scorer's process has ended")
        finally:
            self._waiting.pop(number, None)
        return missing(SCORER, str(said["error"]).strip()) if "error" in said else mark_of(said["score"])

    async def begin(self) -> None:
        """Wait until the function is imported. Raises StackError with its traceback."""
        line = await self._line()
        if "ready" not in line:
            words = str(line.get("error", "it ended before it was ready")).strip()
            raise StackError(f"the scorer cannot be imported:\n{words}", f"it is run by {self._python}")
        self._reader = asyncio.create_task(self._read())

    async def end(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        if self._reader:
            self._reader.cancel()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _read(self) -> None:
        while line := await self._line():
            if (future := self._waiting.get(line.get("number", 0))) and not future.done():
                future.set_result(line)
        code = await self._process.wait()
        self._ended = f"the scorer's process ended with code {code}"
        for future in self._waiting.values():
            if not future.done():
                future.set_result({"error": self._ended})

    async def _line(self) -> Mapping[str, Any]:
        """The next line that it says; empty when it has ended."""
        assert self._process.stdout
        line = await self._process.stdout.readline()
        return dict(json.loads(line)) if line else {}


@contextlib.asynccontextmanager
async def started(python: Path, function: str, root: Path) -> AsyncIterator[Scorer]:
    """The scorer `module:function` of the project at `root`, run by `python`. Raises StackError.

    The program is given as text: a file would bring its neighbours, shipway's modules, on the project's path.
    """
    places = os.pathsep.join(str(place) for place in (root, root / "src") if place.is_dir())
    theirs = os.environ.get("PYTHONPATH")
    environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    environ["PYTHONPATH"] = os.pathsep.join([places, theirs]) if theirs else places
    command = (str(python), "-c", inspect.getsource(scorer_process), function)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, cwd=root, env=environ, limit=_LONGEST, start_new_session=True
        )
    except OSError as error:
        raise StackError(
            f"{python} cannot be run: {error.strerror}", "make the project's environment"
        ) from None
    scorer = Scorer(process, python)
    try:
        await scorer.begin()
        yield scorer
    finally:
        await scorer.end()


def described(answer: Answer) -> dict[str, Any]:
    """The answer as a scorer gets it: the last text, and each turn."""
    found = {"text": answer.text, "latency_s": answer.latency_s, "cost": answer.cost}
    return found | {
        "tools": [call.name for call in answer.calls],
        "calls": [asdict(call) for call in answer.calls],
        "turns": [asdict(reply) for reply in answer.replies],
    }


def mark_of(value: Any) -> Mark:
    """A scorer's value as a mark; one that is none of the kinds it may be is missing."""
    table = value if isinstance(value, dict) else {"score": value}
    score, passed, reason = table.get("score"), table.get("passed"), str(table.get("reason") or "")
    if score is None and isinstance(passed, bool):
        score = passed
    if not isinstance(score, bool | int | float) or not 0 <= score <= 1:
        return missing(
            SCORER, f"gave {value!r}, expected a number from 0 to 1, a bool, or a dict with `score`"
        )
    holds = passed if isinstance(passed, bool) else score >= PASSES
    return Mark(SCORER, holds, reason or f"{float(score):.3g}", float(score))
