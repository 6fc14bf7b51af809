"""The recording that a missed request comes closest to.

In: recordings, and the canonical body of a request. Out: a `Near`, in two steps: sketches choose a few among
thousands without opening a file, and the bodies of these few are compared.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from shipway.replay.matching import anatomy, canonical, sketch
from shipway.replay.matching.difference import ABSENT, Difference, compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Candidate(Protocol):
        """What is compared: a recording."""

        @property
        def file(self) -> str: ...
        @property
        def sketch(self) -> sketch.Sketch: ...
        def canonical(self) -> Any:
            """The body. Raises LookupError where its file is gone."""


_COMPARED = 12  # bodies, the second step
_READ = 600  # characters of a text that similarity looks at
_WEIGHED = 60  # differences; each further one counts as a whole


@dataclass(frozen=True, slots=True)
class Near:
    """A recording's file, its body, and where it differs from the request, likely causes first."""

    file: str
    body: Any
    differences: tuple[Difference, ...]


def find(candidates: Iterable[Candidate], body: Any) -> Near | None:
    """The candidate with the smallest difference, the first among equals; None where there is none."""
    sent = sketch.numbers(sketch.make(body))
    likely = heapq.nlargest(_COMPARED, candidates, key=lambda each: sketch.shared(each.sketch, sent))
    return min(_compared(likely, body), key=_distance, default=None)


def _compared(candidates: Iterable[Candidate], body: Any) -> Iterator[Near]:
    for candidate in candidates:
        try:
            recorded = candidate.canonical()
        except LookupError:
            continue
        found = sorted(compare(recorded, body), key=lambda difference: anatomy.rank(difference.part))
        yield Near(candidate.file, recorded, tuple(found))


def _distance(near: Near) -> float:
    found = near.differences
    return sum(map(_weight, found[:_WEIGHED])) + max(0, len(found) - _WEIGHED)


def _weight(difference: Difference) -> float:
    """1 for a value; a little less for a text that is much the same; more for a whole item more or less."""
    old, new = difference.recorded, difference.sent
    if isinstance(old, str) and isinstance(new, str):
        return 1.0 - SequenceMatcher(None, old[:_READ], new[:_READ]).quick_ratio() / 2
    whole = new if old is ABSENT else old
    return 1.0 + min(len(canonical.text(whole)), _READ) / _READ if isinstance(whole, dict | list) else 1.0
