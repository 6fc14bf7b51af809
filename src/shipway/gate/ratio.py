"""Sample-ratio mismatch: whether the split of new conversations is the one that the router was told.

In: for each new conversation, whether it went to the canary. Out: `evidence` against the split, a Bayes
factor of "any other share" against it, that is an e-value at any moment. Where it is high, conversations
get lost or are sent by something that has to do with them, and no comparison of the two arms means what it
says.

Lindon and Malek, arXiv 2011.03567.
"""

from __future__ import annotations

from math import exp, lgamma, log

ALARM = 1000.0


class Ratio:
    """The split since the share was last set. `share` is None where nobody knows it: no alarm then."""

    __slots__ = ("canary", "share", "stable")

    def __init__(self, share: float | None) -> None:
        self.share = share
        self.canary = 0
        self.stable = 0

    def see(self, canary: bool) -> None:
        if canary:
            self.canary += 1
        else:
            self.stable += 1

    @property
    def evidence(self) -> float:
        """Beta(1 + S, 1 + n - S) / (w^S (1 - w)^(n - S)), 1 where there is nothing to tell."""
        if self.share is None or not 0.0 < self.share < 1.0:
            return 1.0
        beta = lgamma(1 + self.canary) + lgamma(1 + self.stable) - lgamma(2 + self.canary + self.stable)
        expected = self.canary * log(self.share) + self.stable * log(1.0 - self.share)
        return exp(min(beta - expected, 700.0))

    @property
    def alarm(self) -> bool:
        return self.evidence >= ALARM
