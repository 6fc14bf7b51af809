"""`no_error`: every turn ended well, and no tool that was called failed.

A turn that fails fails its case by itself; this looks at the tools, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from shipway.evals.checks.equals import shortened
from shipway.evals.mark import Mark

if TYPE_CHECKING:
    from shipway.evals.answer import Answer


@dataclass(frozen=True, slots=True)
class NoError:
    expects: ClassVar[str] = "true, or the name alone"

    @classmethod
    def read(cls, value: Any) -> NoError:
        if value is not True:
            raise ValueError
        return cls()

    def look(self, answer: Answer) -> Mark:
        failed = [f"{call.name} failed: {shortened(call.error)}" for call in answer.calls if call.error]
        return Mark("no_error", not failed, "; ".join(failed))
