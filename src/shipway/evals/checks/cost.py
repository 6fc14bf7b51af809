"""`cost`: the conversation cost no more, in US dollars, by the usage it reports and `[model] prices`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from shipway.evals.mark import Mark, missing

if TYPE_CHECKING:
    from shipway.evals.answer import Answer


@dataclass(frozen=True, slots=True)
class Cost:
    most: float
    expects: ClassVar[str] = "US dollars as a number, such as 0.02"

    @classmethod
    def read(cls, value: Any) -> Cost:
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError
        return cls(float(value))

    def look(self, answer: Answer) -> Mark:
        if answer.cost is None:
            return missing("cost", "unknown: the agent reports no usage, or [model] has no prices")
        holds = answer.cost <= self.most
        return Mark("cost", holds, "" if holds else f"cost {answer.cost:.3g} USD, not {self.most:g}")
