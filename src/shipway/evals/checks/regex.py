"""`regex`: a regular expression of Python's, searched in the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from shipway.evals.checks.equals import shortened
from shipway.evals.mark import Mark

if TYPE_CHECKING:
    from shipway.evals.answer import Answer


@dataclass(frozen=True, slots=True)
class Regex:
    pattern: re.Pattern[str]
    expects: ClassVar[str] = "a regular expression of Python's"

    @classmethod
    def read(cls, value: Any) -> Regex:
        try:
            return cls(re.compile(value))
        except TypeError:
            raise ValueError from None
        except re.error as error:
            raise ValueError(f"it cannot be read: {error}") from None

    def look(self, answer: Answer) -> Mark:
        holds = bool(self.pattern.search(answer.text))
        return Mark(
            "regex", holds, "" if holds else f"{self.pattern.pattern} is not in {shortened(answer.text)}"
        )
