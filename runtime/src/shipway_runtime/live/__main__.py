"""The process in which turns are scored: `python -m shipway_runtime.live`.

In: the environment of the agent's process; on stdin one line of JSON a turn, `{"id", "sample"}`. Out: on
stdout first `{"ready": true}`, or `{"broken": why, "trace"}` and the end, then a line for each turn, in any
order: `{"id", "score"}`, or `{"id", "error", "trace"}`. What the function prints goes to stderr. It ends when
stdin does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .. import config, entrypoint
from ..hardening import harden
from ..model.unreachable import refuse_providers
from .calling import ScoreError, Scorer
from .sample import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config import Deployment

NICE = 10  # turns go first
_ERROR, _TRACE = 500, 10_000  # characters


def main() -> int:
    """Score until stdin ends; returns the exit code."""
    asked, replies = _take_pipes()
    give_way()
    deployment = config.read(os.environ)
    try:
        scorer = Scorer(_function(deployment))
    except entrypoint.EntrypointError as error:
        _reply(replies, {"broken": _in_words(error), "trace": _trace(error.cause)})
        return 1
    _reply(replies, {"ready": True})
    asyncio.run(_serve(scorer, asked, replies))
    return 0


def _take_pipes() -> tuple[IO[bytes], IO[str]]:
    """stdin and stdout as they were; what the function reads is empty now, and what it prints is stderr."""
    asked, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return asked, replies


def give_way() -> None:
    """Be the first to go: less processor time than turns, and before them where memory runs out."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def _function(deployment: Deployment) -> Callable[..., Any]:
    """The function that the manifest names. Raises EntrypointError."""
    live = deployment.manifest.live
    if live is None:
        raise entrypoint.EntrypointError("the manifest names no scorer")
    if not deployment.development:
        harden()
    if deployment.replay:
        refuse_providers(deployment.replay)
    source = deployment.places.source
    sys.path.insert(0, str(source))
    if deployment.development and source.name == "src":
        sys.path.insert(1, str(source.parent))  # where a project has its evals; images have both in one place
    found = entrypoint.load(live.entrypoint)
    function = found.target() if found.factory else found.target
    if not callable(function):
        raise entrypoint.EntrypointError(f"{live.entrypoint} is a {type(function).__name__}, no function")
    return function  # type: ignore[no-any-return]


def _in_words(error: entrypoint.EntrypointError) -> str:
    cause = f": {type(error.cause).__name__}: {error.cause}" if error.cause else ""
    return f"{error}{cause}"


def _trace(error: BaseException | None) -> str:
    """The traceback, from the first frame that is not ours; empty without an exception."""
    return "".join(traceback.format_exception(entrypoint.theirs(error)))[-_TRACE:] if error else ""


def _reply(replies: IO[str], document: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more: stdin says so in a moment
        replies.write(json.dumps(document) + "\n")
        replies.flush()


async def _serve(scorer: Scorer, asked: IO[bytes], replies: IO[str]) -> None:
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_read, args=(asked, loop, lines), daemon=True).start()
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(_answer(json.loads(await lines.get()), scorer, replies))


def _read(asked: IO[bytes], loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[bytes]) -> None:
    """A thread of its own, so that the end is seen whatever the function does to the loop."""
    for line in asked:
        loop.call_soon_threadsafe(lines.put_nowait, line)
    os._exit(0)


async def _answer(asked: dict[str, Any], scorer: Scorer, replies: IO[str]) -> None:
    reply: dict[str, Any] = {"id": asked["id"]}
    try:
        reply["score"] = await scorer.score(decode(asked["sample"]))
    except ScoreError as error:
        reply |= {"error": str(error)[:_ERROR], "trace": _trace(error.__cause__)}
    _reply(replies, reply)


if __name__ == "__main__":
    sys.exit(main())
