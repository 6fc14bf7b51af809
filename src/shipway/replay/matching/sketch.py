"""A sketch of a body: a few hundred numbers by which thousands of bodies are compared in milliseconds.

In: a canonical body. Out: a `Sketch`. A number stands for a member of the body, for an item of it (a tool)
or, in messages, for a value or a word; places in lists are left out, so that one more message moves nothing.
Of a large body the lowest numbers are kept: two sketches still share what the bodies share.
"""

from __future__ import annotations

import zlib
from array import array
from typing import Any

from shipway.replay.matching import canonical
from shipway.replay.matching.anatomy import CONVERSATION

Sketch = bytes
_KEPT = 256  # numbers of four bytes
_READ = 300  # characters of a text, for its words


def make(body: Any) -> Sketch:
    """At most a kilobyte."""
    found: set[int] = set()
    for name, value in body.items() if isinstance(body, dict) else (("", body),):
        if name in CONVERSATION or not name:
            _add(found, value, name)
        elif isinstance(value, list):
            found.update(_number(name, canonical.text(item)) for item in value)
        else:
            found.add(_number(name, canonical.text(value)))
    return array("I", sorted(found)[:_KEPT]).tobytes()


def numbers(sketch: Sketch) -> frozenset[int]:
    return frozenset(array("I", sketch))


def shared(sketch: Sketch, others: frozenset[int]) -> float:
    """How much of two sketches is the same, from 0 to 1."""
    own = array("I", sketch)
    return len(others.intersection(own)) / (max(len(own), len(others)) or 1)


def _add(found: set[int], value: Any, path: str) -> None:
    """The values and words of a message."""
    if isinstance(value, dict):
        for key, item in value.items():
            _add(found, item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            _add(found, item, path)
    else:
        written = value if isinstance(value, str) else repr(value)
        found.add(_number(path, written))
        found.update(_number("", word) for word in written[:_READ].split())


def _number(path: str, written: str) -> int:
    return zlib.crc32(f"{path}={written}".encode(errors="surrogatepass"))
