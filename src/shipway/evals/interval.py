"""How sure a share is: its 95 % interval."""

from __future__ import annotations

import math

_Z = 1.959964


def wilson(passed: int, known: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; everything where nothing is known.

    Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    if not known:
        return 0.0, 1.0
    share, z2 = passed / known, _Z * _Z
    middle = (share + z2 / (2 * known)) / (1 + z2 / known)
    half = _Z * math.sqrt(share * (1 - share) / known + z2 / (4 * known * known)) / (1 + z2 / known)
    low = 0.0 if passed == 0 else max(0.0, middle - half)
    return low, 1.0 if passed == known else min(1.0, middle + half)
