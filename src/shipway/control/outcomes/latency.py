"""Latencies, as counts in buckets: what can be added up, and still answers what is usual and what is slow.

In: seconds. Out: bucket -> count, as JSON keeps it, and quantiles of it, true to a tenth.
"""

from __future__ import annotations

import json
import math
from collections import Counter

_STEP = math.log(1.2)  # a bucket is a fifth wider than the one below
_LOWEST, _HIGHEST = 0.001, 100_000.0  # seconds


def bucket(seconds: float) -> str:
    """The bucket's name: a number, as JSON's keys are text."""
    return str(round(math.log(min(max(seconds, _LOWEST), _HIGHEST)) / _STEP))


def read(text: str) -> Counter[str]:
    """What was kept."""
    return Counter(json.loads(text))


def quantile(counts: Counter[str], part: float) -> float | None:
    """The seconds below which this part of all is; None where there is nothing."""
    left = part * counts.total()
    for number, count in sorted((int(name), count) for name, count in counts.items()):
        left -= count
        if left <= 0:
            return round(math.exp(number * _STEP), 4)
    return None
