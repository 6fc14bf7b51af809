"""The same cases put to two revisions: whether the second is worse, and when that is known.

In: for each case the score before and after, in [0, 1]; cases in an order that has nothing to do with
either. Out: `judge()`. Cases are compared with themselves, so that hard and easy ones cancel out: tens of
cases tell what takes hundreds of conversations. Whoever runs a suite may stop as soon as the verdict is not
inconclusive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.gate.gate import Gate
from shipway.gate.plan import Calibration, GatePlan

if TYPE_CHECKING:
    from shipway.gate.judgement import Judgement


class Paired:
    """`after` may be `margin` worse; said to be worse wrongly with probability `alpha` at most."""

    def __init__(
        self, margin: float | None = None, alpha: float = 0.05, judge: Calibration | None = None
    ) -> None:
        plan = GatePlan("after", "before", None, {"evals": margin}, alpha, {"evals": judge} if judge else {})
        self._gate = Gate(plan)
        self._cases = 0

    def see(self, before: float, after: float) -> None:
        """One case that has a score from both. One that has not is no case: leave it out, and count it."""
        self._cases += 1
        self._gate.see_pair(before, after, self._cases)

    def judge(self) -> Judgement:
        """What is known now."""
        return self._gate.judge(self._cases)

    @property
    def decided(self) -> bool:
        """Further cases would change nothing that matters."""
        return self.judge().verdict != "inconclusive"
