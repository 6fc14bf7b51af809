"""`latency`: no turn took longer, as its caller saw it: the last attempt alone, without waits for a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from shipway.evals.mark import Mark
from shipway.spec.values import parse_duration

if TYPE_CHECKING:
    from shipway.evals.answer import Answer


@dataclass(frozen=True, slots=True)
class Latency:
    most_s: float
    expects: ClassVar[str] = 'a duration such as "5s" or "500ms"'

    @classmethod
    def read(cls, value: Any) -> Latency:
        try:
            return cls(parse_duration(value))
        except ValueError:
            raise ValueError from None

    def look(self, answer: Answer) -> Mark:
        holds = answer.latency_s <= self.most_s
        return Mark("latency", holds, "" if holds else f"took {answer.latency_s:.3g} s, not {self.most_s:g}")
