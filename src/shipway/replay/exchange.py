"""One recorded exchange with a model API: the format of `replays/**/*.json`.

In: the text of a file. Out: an `Exchange`, or the findings that keep it from being one.
docs/reference/replays.md documents the format; `format` is `contract.FORMAT`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from shipway.errors import Finding
from shipway_runtime import contract

RULE = "replay-recording"


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent sent. `path` has no query; `body` is the JSON value, None where there was none."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Response:
    """What the API answered: `body` (a JSON value), or `events`: raw text of the stream, chunk by chunk.

    An event is `(milliseconds since the request, text)`; a chunk may hold several SSE events or a part.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    events: tuple[tuple[float, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer. `meta` is the writer's own: when, from where, why. Never matched on."""

    request: Request
    response: Response
    meta: dict[str, Any] = field(default_factory=dict)
    format: int = contract.FORMAT


def read(text: str, file: str) -> Exchange | Finding:
    """The exchange in `text`; `file` names it in the finding."""
    try:
        json.loads(text)  # for the line: a ContractError has none
    except json.JSONDecodeError as error:
        fix = "correct the JSON, or delete the file and record the exchange again"
        return Finding(RULE, f"not JSON: {error.msg}, column {error.colno}", fix, file, error.lineno)
    try:
        exchange = contract.decode(Exchange, text, file)
    except contract.ContractError as error:
        message = str(error).removeprefix(f"{file}: ")
        return Finding(RULE, message, "docs/reference/replays.md describes the format", file)
    if problem := _problem(exchange):
        return Finding(RULE, problem, "docs/reference/replays.md describes the format", file)
    return exchange


def _problem(exchange: Exchange) -> str:
    request, response = exchange.request, exchange.response
    if (response.body is None) == (response.events is None):
        return "response: expected either `body` or `events`"
    if not 100 <= response.status <= 599:
        return f"response.status: expected an HTTP status, saw {response.status}"
    if not request.path.startswith("/") or "?" in request.path:
        return f"request.path: expected a path without query, such as /v1/messages, saw {request.path}"
    offsets = [offset for offset, _ in response.events or ()]
    if offsets != sorted(offsets) or any(offset < 0 for offset in offsets):
        return "response.events: expected offsets in milliseconds that never go back"
    return ""
