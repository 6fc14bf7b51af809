"""What makes two requests the same: values that differ from run to run are replaced, everything else is kept.

In: JSON values. Out: JSON values in which

- texts are without what changes by itself (volatile.py); results of tools a little more;
- generated ids are numbered by first appearance, where they are ids (the provider knows) and where a text
  quotes one of them;
- JSON in a string is compared as JSON, one block of text as that text, 1.0 as 1, null as absent;
- line ends are line feeds, and blanks at the end of a text are gone.

`text` is the canonical JSON that keys are made of; `digest` and `count` make ids and usage from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from shipway.replay.matching import volatile

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSENT = frozenset({"cache_control"})  # what a prompt costs, not what it says
_DURATIONS = re.compile(r"(?:duration|elapsed|took|latency)(?:_?\w+)?", re.IGNORECASE)
_EPOCHS = (1.5e9, 2e9)
_QUOTED = 8  # an id this long cannot be a word


def settle(value: Any) -> Any:
    """`value` without what changes by itself."""
    return _walk(value, volatile.anywhere, result=False)


def settle_result(value: Any) -> Any:
    """A tool result, also without epochs and durations; where it holds a time, without dates and weekdays."""
    settled = _walk(value, volatile.result, result=True)
    return _walk(settled, volatile.undated, result=False) if volatile.holds_time(text(settled)) else settled


def plain(value: Any) -> Any:
    """`value` in its plainest form: what SDKs and frameworks write in two ways is written in one."""
    if isinstance(value, list):
        items = [plain(item) for item in value]
        return items[0]["text"] if len(items) == 1 and _only_text(items[0]) else items
    if isinstance(value, dict):
        kept = ((key, item) for key, item in value.items() if item is not None and key not in _UNSENT)
        return {key: plain(item) for key, item in kept}
    return value


def _only_text(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() == {"type", "text"}
        and item["type"] in ("text", "input_text")
        and isinstance(item["text"], str)
    )


def _walk(value: Any, change: Callable[[str], str], *, result: bool) -> Any:
    if isinstance(value, str):
        return _string(value, change, result=result)
    if isinstance(value, list):
        return [_walk(item, change, result=result) for item in value]
    if isinstance(value, dict):
        return {key: _member(key, item, change, result=result) for key, item in value.items()}
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _number(value) if result else value


def _member(key: str, value: Any, change: Callable[[str], str], *, result: bool) -> Any:
    if result and isinstance(value, int | float) and _DURATIONS.fullmatch(key):
        return "<duration>"
    return _walk(value, change, result=result)


def _string(value: str, change: Callable[[str], str], *, result: bool) -> str:
    value = value.replace("\r\n", "\n").rstrip()
    if value[:1] in "{[" and value[-1:] in "}]" and value:
        try:
            parsed = json.loads(volatile.anywhere(value))  # whole: "current_date" stands before its date
        except (ValueError, RecursionError):
            return change(value)
        return text(_walk(parsed, change, result=result))
    return change(value)


def _number(value: Any) -> Any:
    """`<epoch>` for seconds or milliseconds since 1970, in this age."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return "<epoch>" if any(_EPOCHS[0] <= value / unit < _EPOCHS[1] for unit in (1, 1000)) else value


class Ids:
    """Generated ids as `<id 1>`, `<id 2>`, … in the order in which they first appear."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def rename(self, value: str) -> str:
        return self._names.setdefault(value, f"<id {len(self._names) + 1}>")

    def quoted(self, value: Any) -> Any:
        """`value` with the renamed ids replaced wherever a text quotes one."""
        whole = text(value)
        found = sorted((id_ for id_ in self._names if len(id_) >= _QUOTED and id_ in whole), key=len)
        if not found:
            return value
        known = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, reversed(found)))})(?![\w-])")
        return self._replace(value, known)

    def _replace(self, value: Any, known: re.Pattern[str]) -> Any:
        if isinstance(value, str):
            return known.sub(lambda found: self._names[found[0]], value)
        if isinstance(value, list):
            return [self._replace(item, known) for item in value]
        if isinstance(value, dict):
            return {key: self._replace(item, known) for key, item in value.items()}
        return value


def text(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(*values: str) -> str:
    """64 hexadecimal digits that follow from the values: ids for answers that nobody recorded."""
    return hashlib.sha256("\0".join(values).encode(errors="surrogatepass")).hexdigest()


def count(written: str) -> int:
    """About how many tokens: the rule of thumb for English, four characters each."""
    return len(written) // 4 + 1
