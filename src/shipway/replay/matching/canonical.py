"""What makes two requests the same: values that differ from run to run are replaced, everything else is kept.

In: JSON values. Out: JSON values in which

- an ISO 8601 date with a time of day is `<time>`, a UUID `<uuid>`, anywhere in a string;
- in a *tool result* that holds such a time, plain dates and weekdays are replaced too: they say the same
  thing once more. Elsewhere they stay, because "open on Sunday?" and "open on Monday?" are two questions;
- generated ids are numbered by first appearance (the provider knows where they are);
- 1.0 is 1.

`text` is the canonical JSON that keys are compared by; `digest` and `count` make ids and usage from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_TIME = re.compile(
    r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?(?:Z\b|[+-]\d{2}:?\d{2}\b))?"
)
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_WEEKDAY = re.compile(r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b")


def settle(value: Any) -> Any:
    """`value` without times and UUIDs."""
    if isinstance(value, str):
        return _UUID.sub("<uuid>", _TIME.sub("<time>", value))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [settle(item) for item in value]
    if isinstance(value, dict):
        return {key: settle(item) for key, item in value.items()}
    return value


def settle_result(value: Any) -> Any:
    """A tool result without times and UUIDs and, where it holds a time, without dates and weekdays."""
    return _undate(settle(value)) if _TIME.search(text(value)) else settle(value)


def _undate(value: Any) -> Any:
    if isinstance(value, str):
        return _WEEKDAY.sub("<weekday>", _DATE.sub("<date>", value))
    if isinstance(value, list):
        return [_undate(item) for item in value]
    if isinstance(value, dict):
        return {key: _undate(item) for key, item in value.items()}
    return value


class Ids:
    """Generated ids as `<id 1>`, `<id 2>`, … in the order in which they first appear."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def rename(self, value: str) -> str:
        return self._names.setdefault(value, f"<id {len(self._names) + 1}>")


def text(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(*values: str) -> str:
    """64 hexadecimal digits that follow from the values: ids for answers that nobody recorded."""
    return hashlib.sha256("\0".join(values).encode()).hexdigest()


def count(written: str) -> int:
    """About how many tokens: the rule of thumb for English, four characters each."""
    return len(written) // 4 + 1
