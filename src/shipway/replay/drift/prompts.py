"""The project's prompts: their digests, and which of them a request was made with.

In: the directory of the prompts, the body of a request. Out: `{file below the directory: short digest}`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SIZE = 1_000_000  # bytes; a larger file is no prompt
_SHORT = 12  # hexadecimal digits of a digest
_PLACEHOLDER = re.compile(r"\n|\$?\{+[^{}\n]*\}+")
_FRAGMENT = 12  # characters; what is shorter is found anywhere
_PART = 0.5  # of a prompt's text that a request made with it has at least


def read(directory: Path | None) -> dict[str, str]:
    """The text of every prompt, by its path below `directory`; empty where there is no such directory."""
    if directory is None or not directory.is_dir():
        return {}
    found = {}
    for path in sorted(directory.rglob("*")):
        below = path.relative_to(directory)
        if not any(part.startswith(".") for part in below.parts) and _readable(path):
            found[below.as_posix()] = path.read_text(encoding="utf-8", errors="replace")
    return found


def _readable(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= _SIZE
    except OSError:
        return False


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]


def digests(prompts: Mapping[str, str]) -> dict[str, str]:
    return {name: digest(text) for name, text in prompts.items()}


def used(prompts: Mapping[str, str], body: Any) -> dict[str, str]:
    """Digests of the prompts whose text is in the request; of all where none is: it may be rewritten."""
    sent = "\n".join(_strings(body))
    found = {name: text for name, text in prompts.items() if _is_in(text, sent)}
    return digests(found or prompts)


def missing(text: str, body: Any) -> Iterator[str]:
    """The parts of a prompt that are not in the request."""
    sent = "\n".join(_strings(body))
    return (part for part in _fragments(text) if part not in sent)


def _fragments(text: str) -> list[str]:
    """What of a prompt arrives as it is written: its lines, cut where something is filled in."""
    parts = [part.strip() for part in _PLACEHOLDER.split(text)]
    return [part for part in parts if len(part) >= _FRAGMENT]


def _is_in(text: str, sent: str) -> bool:
    parts = _fragments(text)
    there = sum(len(part) for part in parts if part in sent)
    return bool(there) and there >= _PART * sum(map(len, parts))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
