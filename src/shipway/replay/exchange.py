"""One recorded exchange with a model API: the format of `replays/**/*.json`.

In: the text of a file. Out: an `Exchange`, or the findings that keep it from being one. `write` is the way
back: the text, and the files of its parts. docs/reference/replays.md documents the format; `format` is
`contract.FORMAT`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shipway.errors import Finding
from shipway.replay import parts
from shipway_runtime import contract

RULE = "replay-recording"
_ABOVE = 5  # directories of a recording's path in which its parts are looked for


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
    Bytes that are no UTF-8 are in the text as `surrogateescape` writes them.
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
    """The exchange in `text`. `file` is its path: for the finding, and for its parts, which are near it."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = "correct the JSON, or delete the file and record the exchange again"
        at = (f", column {error.colno}", error.lineno) if isinstance(error, json.JSONDecodeError) else ("", 0)
        return Finding(RULE, f"not JSON: {getattr(error, 'msg', error)}{at[0]}", fix, file, at[1])
    try:
        if parts.refers(text):
            data = parts.join(data, lambda name: _part(Path(file), name))
        large = _take_out(data)
        exchange = contract.decode(Exchange, json.dumps(data), file)
    except parts.PartError as error:
        fix = "restore it from version control, or delete the recording and record the exchange again"
        return Finding(RULE, str(error), fix, file)
    except contract.ContractError as error:
        message = str(error).removeprefix(f"{file}: ")
        return Finding(RULE, message, "docs/reference/replays.md describes the format", file)
    exchange = _put_back(exchange, large)
    if problem := _problem(exchange):
        return Finding(RULE, problem, "docs/reference/replays.md describes the format", file)
    return exchange


def _take_out(data: Any) -> dict[tuple[str, str], Any]:
    """What is large and needs no check of its parts, so that the rest is checked in no time."""
    large = {}
    for part, name in (("request", "body"), ("response", "body"), ("response", "events")):
        holder = data.get(part) if isinstance(data, dict) else None
        if isinstance(holder, dict) and (name != "events" or _are_events(holder.get(name))):
            large[part, name] = holder.pop(name, None)
    return large


def _are_events(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(event) is list and len(event) == 2 and type(event[0]) in (int, float) and type(event[1]) is str
        for event in value
    )


def _put_back(exchange: Exchange, large: dict[tuple[str, str], Any]) -> Exchange:
    request = replace(exchange.request, body=large.get(("request", "body")))
    response = replace(exchange.response, body=large.get(("response", "body")))
    if (events := large.get(("response", "events"))) is not None:
        response = replace(response, events=tuple((float(offset), text) for offset, text in events))
    return replace(exchange, request=request, response=response)


def _part(file: Path, name: str) -> bytes:
    """The bytes of a part: `parts/` is beside the recording, or above it."""
    try:
        for directory in list(file.parents)[:_ABOVE]:
            if (path := directory / parts.DIRECTORY / name).exists():
                return path.read_bytes()
    except OSError as error:
        raise parts.PartError(f"{parts.DIRECTORY}/{name} cannot be read: {error.strerror}") from None
    raise parts.PartError(f"{parts.DIRECTORY}/{name} is missing")


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


# -- Writing -------------------------------------------------------------------------------------------------

_NO_UTF8 = re.compile("[\ud800-\udfff]")


def write(exchange: Exchange) -> tuple[str, dict[str, bytes]]:
    """The text of the file, made for diffs: keys in their order, a line for each event. And its parts."""
    files: dict[str, bytes] = {}
    request, response = exchange.request, exchange.response
    sections = {
        "format": exchange.format,
        "request": {"method": request.method, "path": request.path, "body": parts.split(request.body, files)},
        "response": {"status": response.status, "headers": response.headers},
        "meta": exchange.meta,
    }
    texts = {key: _dump(value) for key, value in sections.items()}
    answered = parts.split(response.body if response.events is None else response.events, files)
    last = f'"body": {_dump(answered)}' if response.events is None else f'"events": {_lines(answered)}'
    texts["response"] = texts["response"].removesuffix("\n}") + ",\n " + last.replace("\n", "\n ") + "\n}"
    body = ",\n".join(f' "{key}": {text}'.replace("\n", "\n ") for key, text in texts.items())
    return _NO_UTF8.sub(lambda match: f"\\u{ord(match[0]):04x}", f"{{\n{body}\n}}\n"), files


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _lines(events: list[Any]) -> str:
    each = (json.dumps(event, ensure_ascii=False) for event in events)
    return "[" + ",".join(f"\n {text}" for text in each) + ("\n]" if events else "]")
