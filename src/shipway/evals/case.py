"""A case of a suite: what is said to the agent, and what its answer has to be.

In: nothing; these are values, read by `suite`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shipway.evals.checks import Check


@dataclass(frozen=True, slots=True)
class Turn:
    """One message to the agent; `checks` see the answer to it alone."""

    input: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """`checks` see the whole conversation, and its last text; so do the scorer and the judge."""

    id: str
    turns: tuple[Turn, ...]
    checks: tuple[Check, ...] = ()
    rubrics: tuple[str, ...] = ()
    """What a good answer has, in words: a judge reads them."""
    expected: Any = None
    tags: tuple[str, ...] = ()
    line: Mapping[str, Any] = field(default_factory=dict)
    """The whole object as it stands in the suite; what a scorer gets."""
    file: str = ""
    number: int = 0

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(turn.input for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Label:
    """An answer that people have judged: the judge is calibrated by such. `good` is what they said."""

    id: str
    input: str
    answer: str
    rubric: str
    good: bool


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases in the order of their files and lines, and the labelled answers among them."""

    cases: tuple[Case, ...]
    labels: tuple[Label, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether a judge is needed."""
        return any(case.rubrics for case in self.cases)
