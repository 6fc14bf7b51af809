"""The scorer's own process: it runs in the project's environment, and imports nothing of shipway.

In: `module:function` as argument; on stdin a JSON line for each answer, {"number", "case", "answer"}. Out: on
stdout a JSON line for each, {"number", "score"} or {"number", "error"}, and first {"ready"} or {"error"}.
What the project prints goes to stderr. Async functions run side by side, others one after the other.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Say = Callable[[object], None]


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # prints of the project must not get between our lines

    def say(line: object) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    try:
        function = find(sys.argv[1])
    except Exception:  # noqa: BLE001 - whatever an import raises
        say({"error": told()})
        return
    say({"ready": True})
    asyncio.run(serve(function, say))


def find(name: str) -> Callable[[Any, Any], Any]:
    module, _, attribute = name.partition(":")
    function: Callable[[Any, Any], Any] = getattr(importlib.import_module(module), attribute)
    if not callable(function):
        raise TypeError(f"{name} is a {type(function).__name__}, expected a function score(case, answer)")
    return function


async def serve(function: Callable[[Any, Any], Any], say: Say) -> None:
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    one = ThreadPoolExecutor(1)
    tasks: set[asyncio.Task[None]] = set()
    while (line := await lines.get()) is not None:
        asked = json.loads(line)
        task = asyncio.create_task(score(function, asked, one, say))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


async def score(function: Callable[[Any, Any], Any], asked: Any, one: ThreadPoolExecutor, say: Say) -> None:
    """Score one answer, and say what came of it."""
    try:
        if inspect.iscoroutinefunction(function):
            value = await function(asked["case"], asked["answer"])
        else:
            loop = asyncio.get_running_loop()
            value = await loop.run_in_executor(one, function, asked["case"], asked["answer"])
            value = await value if inspect.isawaitable(value) else value
        say({"number": asked["number"], "score": plain(value)})
    except Exception:  # noqa: BLE001 - whatever the project raises
        say({"number": asked["number"], "error": told()})


def told() -> str:
    """The exception that is handled, without what led from here to the project's code."""
    error = traceback.TracebackException(*sys.exc_info())
    ours = (
        "<string>",
        "concurrent/futures/thread.py",
        "importlib/__init__.py",
        "<frozen importlib._bootstrap>",
    )
    error.stack[:] = [frame for frame in error.stack if not frame.filename.endswith(ours)]
    return "".join(error.format())


def plain(value: Any) -> Any:
    """Numbers of other libraries, such as numpy's, as Python's own."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "item") and not isinstance(value, (bool, int, float, str)):
        return value.item()
    return value


if __name__ == "__main__":
    main()
