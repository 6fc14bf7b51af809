"""What one MCP server was asked and how that ended, in numbers and log lines.

In: each request on its way to the server. Out: counts, durations, what is under way; a log line for each call
of a tool, without its arguments and its result, which may hold what is nobody's business.
Plain numbers on purpose: a call costs a few additions, and the library that makes a page of them is imported
by whoever asks for the page (`families`). Tools and methods are counted by name only where the name is known:
a client could make up any number of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from ..telemetry.histogram import Histogram
from .messages import CANCELLED, TIMED_OUT, UNAVAILABLE, Denied, Exhausted, Json, RpcError, Unavailable
from .trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from ..contract import McpServer

log = logging.getLogger("shipway.mcp")

Outcome = Literal["ok", "tool_error", "rpc_error", "timeout", "busy", "unavailable", "denied", "cancelled"]

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds."""
OTHER = "other"

_METHODS = frozenset(
    {
        *("initialize", "server/discover", "ping", "completion/complete", "logging/setLevel"),
        *("tools/list", "tools/call", "prompts/list", "prompts/get"),
        *("resources/list", "resources/templates/list", "resources/read"),
        *("resources/subscribe", "resources/unsubscribe", "subscriptions/listen"),
    }
)
_MOST_TOOLS = 256  # of one server, counted by name
_LONGEST_NAME = 128
_UNANSWERED: frozenset[Outcome] = frozenset({"denied", "busy"})  # took no time of the server's
_QUIET: frozenset[Outcome] = frozenset({"ok", "tool_error", "cancelled"})
_MEANING: Mapping[int, Outcome] = {
    UNAVAILABLE: "unavailable",
    TIMED_OUT: "timeout",
    CANCELLED: "cancelled",
}
"""What an error says that a relay in front of the server answered with."""


class Calls:
    """The numbers of one server. Counters have keys (method, tool, outcome), durations (method, tool).

    `limit` is how many calls it takes at once; more are `in_flight` while they wait.
    """

    def __init__(self, server: McpServer) -> None:
        self.server = server.name
        self.limit = server.concurrency
        self.in_flight = 0
        self.probe_failures = 0
        self.counts: Counter[tuple[str, str, Outcome]] = Counter()
        self.durations: dict[tuple[str, str], Histogram] = {}
        self._tools: set[str] = set()
        self.know(*server.tools.allow, *server.tools.deny)

    def measure(self, message: Json, headers: Mapping[str, str]) -> Call:
        """A request that is about to be made, as a context manager."""
        params = message.get("params")
        method = message.get("method", "")
        tool = str((params or {}).get("name")) if method == "tools/call" else ""
        return Call(self, method, tool, trace_id(params, headers))

    def probed(self, error: str | None) -> None:
        """Take the result of one probe into account."""
        self.probe_failures += error is not None

    def know(self, *tools: str) -> None:
        """Count these tools by name from now on."""
        for tool in tools:
            if len(self._tools) < _MOST_TOOLS and len(tool) <= _LONGEST_NAME:
                self._tools.add(tool)

    def take(self, call: Call, seconds: float) -> None:
        """Count a request that has ended."""
        method = call.method if call.method in _METHODS else OTHER
        tool = call.tool if not call.tool or call.tool in self._tools else OTHER
        self.counts[method, tool, call.outcome] += 1
        if call.outcome not in _UNANSWERED:
            self.durations.setdefault((method, tool), Histogram(BUCKETS)).observe(seconds)


class Call:
    """One request under way. How it ended is what was heard first: an answer, a failure, an exception."""

    def __init__(self, calls: Calls, method: str, tool: str, trace: str | None) -> None:
        self.method, self.tool = method, tool
        self._calls, self._trace = calls, trace
        self._ended: Outcome | None = None
        self._error: str | None = None
        self._began = 0.0

    @property
    def outcome(self) -> Outcome:
        return self._ended or "ok"

    def __enter__(self) -> Call:
        self._began = time.perf_counter()
        self._calls.in_flight += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            self.failed(error)
        self._calls.in_flight -= 1
        self._end(time.perf_counter() - self._began)

    @contextmanager
    def door(self) -> Iterator[None]:
        """Counts a request that the block refuses; for the time before the call itself begins."""
        try:
            yield
        except RpcError as error:
            self.failed(error)
            self._end(0.0)
            raise

    def answered(self, answer: Json) -> Json:
        """Take the server's answer, an object with `result` or `error`, into account. Returns it."""
        result, error = answer.get("result"), answer.get("error")
        if not isinstance(result, dict):
            code = error.get("code") if isinstance(error, dict) else None
            meaning = _MEANING.get(code) if isinstance(code, int) else None
            self._note(meaning or "rpc_error", f"JSON-RPC error {code}")  # its text may repeat arguments
        elif result.get("isError") is True:
            self._note("tool_error", None)
        else:
            self._note("ok", None)
            if self.method == "tools/list":
                self._calls.know(*_names(result))
            elif self.method == "tools/call":
                self._calls.know(self.tool)
        return answer

    def failed(self, error: BaseException) -> None:
        """Take into account that the relay has to answer, or that nobody waits any more."""
        ended = _outcome(error)
        self._note(ended, None if ended == "cancelled" else str(error))

    def _note(self, outcome: Outcome, error: str | None) -> None:
        if self._ended is None:
            self._ended, self._error = outcome, error

    def _end(self, seconds: float) -> None:
        self._calls.take(self, seconds)
        level = logging.INFO if self.outcome in _QUIET else logging.WARNING
        if self.method == "tools/call" and log.isEnabledFor(level):
            self._log(level, seconds)

    def _log(self, level: int, seconds: float) -> None:
        tool = "".join(c if c.isprintable() else "?" for c in self.tool[:_LONGEST_NAME])
        fields = {
            "server": self._calls.server,
            "tool": tool,
            "outcome": self.outcome,
            "duration_s": round(seconds, 6),
        }
        fields |= {"trace_id": self._trace} if self._trace else {}
        fields |= {"error": self._error} if self._error else {}
        why = f": {self._error}" if self._error else ""
        log.log(
            level,
            "%s: %s %s in %s%s",
            *(self._calls.server, tool, self.outcome, _spell(seconds), why),
            extra=fields,
        )


def _names(result: Json) -> list[str]:
    tools = result.get("tools")
    return [str(t.get("name")) for t in tools if isinstance(t, dict)] if isinstance(tools, list) else []


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return "cancelled"
    if isinstance(error, Denied):
        return "denied"
    if isinstance(error, RpcError) and error.code in (TIMED_OUT, CANCELLED):
        return _MEANING[error.code]
    if isinstance(error, Exhausted):
        return "busy"
    return "unavailable" if isinstance(error, Unavailable) else "rpc_error"


def _spell(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
