"""What a project adds to matching: `[[ignore]]` tables, texts that change from run to run only there.

In: regular expressions and JSON values. Out: the values with `<ignored>` where one of them was found.
"""

from __future__ import annotations

import re
from typing import Any

Ignored = tuple[re.Pattern[str], ...]


def apply(patterns: Ignored, value: Any) -> Any:
    """`value` with every match in every text replaced."""
    if not patterns:
        return value
    if isinstance(value, str):
        for pattern in patterns:
            value = pattern.sub("<ignored>", value)
        return value
    if isinstance(value, list):
        return [apply(patterns, item) for item in value]
    if isinstance(value, dict):
        return {key: apply(patterns, item) for key, item in value.items()}
    return value
