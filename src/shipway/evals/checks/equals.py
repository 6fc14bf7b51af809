"""`equals`: the answer is this text, white space at its ends aside; or this JSON value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from shipway.evals.mark import Mark

if TYPE_CHECKING:
    from shipway.evals.answer import Answer


@dataclass(frozen=True, slots=True)
class Equals:
    """A text is compared with the answer; any other value with the answer read as JSON."""

    value: Any
    expects: ClassVar[str] = "a text, or a JSON value"

    @classmethod
    def read(cls, value: Any) -> Equals:
        return cls(value)

    def look(self, answer: Answer) -> Mark:
        said = answer.text.strip()
        if isinstance(self.value, str):
            holds = said == self.value.strip()
            return Mark("equals", holds, "" if holds else f"is {shortened(said)}")
        try:
            holds = same(json.loads(said), self.value)
        except ValueError:
            return Mark("equals", False, f"is not JSON: {shortened(said)}")
        return Mark("equals", holds, "" if holds else f"is {shortened(said)}")


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal. To Python true is 1; to JSON it is not."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def shortened(text: str, most: int = 80) -> str:
    """A text in quotes, cut where it gets long."""
    line = " ".join(text.split())
    return f'"{line if len(line) <= most else line[: most - 1] + "…"}"'
