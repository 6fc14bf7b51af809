"""The recording that a missed request comes closest to, and where the two differ.

In: canonical bodies. Out: lines to read: paths into the body with what was recorded (-) and sent (+).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from shipway.replay.matching import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shipway.replay.tape import Recording

_SHOWN = 6  # differences in a message; the rest is counted
_WIDTH = 72  # characters of a value, around the first that differs
_COMPARED = 2000  # characters of a text that similarity looks at
_ABSENT = object()


def find(recordings: Sequence[Recording], method: str, path: str, body: Any) -> Recording | None:
    """The recording of the same method and path with the smallest difference; the first among equals."""
    sent = dict(_leaves(body))
    head = f"{method} {path} "
    same = [recording for recording in recordings if recording.key.startswith(head)]
    return min(same, key=lambda recording: _distance(dict(_leaves(recording.canonical)), sent), default=None)


def describe(recorded: Any, sent: Any) -> list[str]:
    """The differences, three lines each."""
    old, new = dict(_leaves(recorded)), dict(_leaves(sent))
    paths = _differing(old, new)
    lines = []
    for path in paths[:_SHOWN]:
        before, after = _window(_show(old.get(path, _ABSENT)), _show(new.get(path, _ABSENT)))
        lines += [f"  {path}", f"    - {before}", f"    + {after}"]
    if len(paths) > _SHOWN:
        lines.append(f"  … and {len(paths) - _SHOWN} more")
    return lines


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar and its path. Lists of named things (tools) are keyed by name, so one more shifts none."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _leaves(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for label, item in zip(_labels(value), value, strict=True):
            yield from _leaves(item, f"{path}[{label}]")
    else:
        yield path or "body", value


def _labels(items: list[Any]) -> Sequence[object]:
    names = [item.get("name") for item in items if isinstance(item, dict)]
    named = all(isinstance(name, str) for name in names) and len(set(names)) == len(items)
    return names if named else range(len(items))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    paths = [*old, *(path for path in new if path not in old)]
    return [path for path in paths if old.get(path, _ABSENT) != new.get(path, _ABSENT)]


def _distance(old: Mapping[str, Any], new: Mapping[str, Any]) -> float:
    return sum(_unlike(old.get(path, _ABSENT), new.get(path, _ABSENT)) for path in _differing(old, new))


def _unlike(old: Any, new: Any) -> float:
    if not isinstance(old, str) or not isinstance(new, str):
        return 1.0
    return 1.0 - difflib.SequenceMatcher(None, old[:_COMPARED], new[:_COMPARED]).quick_ratio() / 2


def _show(value: Any) -> str:
    return "(absent)" if value is _ABSENT else value if isinstance(value, str) else canonical.text(value)


def _window(old: str, new: str) -> tuple[str, str]:
    """Both texts from a little before the first character that differs."""
    pairs = enumerate(zip(old, new, strict=False))
    start = max(0, next((i for i, (a, b) in pairs if a != b), min(len(old), len(new))) - _WIDTH // 3)
    return _cut(old, start), _cut(new, start)


def _cut(text: str, start: int) -> str:
    part = text[start : start + _WIDTH].replace("\n", "⏎")
    return f"{'…' if start else ''}{part}{'…' if start + _WIDTH < len(text) else ''}"
