"""Evidence by betting: a process that grows when differences are above zero on average, and else does not.

In: differences, one after the other, each in [-least, …]. Out: `evidence`, the capital of somebody who
started with 1 and bet on every difference. Where differences are not above zero on average, whatever came
before, no bet gains on average, so that by Ville's inequality

    P(evidence is ever >= 1 / alpha) <= alpha

however often one looks and whenever one stops. What fraction to bet is not known before; the capital is
divided over several. When a difference begins is not known either; where `late` is set, part of the capital
is put in later, a little with each difference, and what was not put in yet counts as itself.

Waudby-Smith and Ramdas, arXiv 2010.09686; Howard and others, arXiv 1810.08240.
"""

from __future__ import annotations

from math import log1p

FRACTIONS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.95)
"""Of the most that can be bet without losing everything: the best one depends on what is not known."""

AT_ONCE = 0.5
"""The part of the capital that is bet from the first difference on, where some is kept for later."""

PACE = 50.0
"""Differences until about a third of what is kept for later has been put in."""

MOST = 1e12
"""Capital above this is given away, which no bound minds: what it decides has long been decided."""


class Process:
    """One process of evidence. `see` takes differences of at least `-least`."""

    __slots__ = ("_capital", "_fractions", "_kept", "_most", "_reserve", "_seen", "evidence", "peak")

    def __init__(self, least: float, late: bool = False, most: float = MOST) -> None:
        self._fractions = tuple(fraction / least for fraction in FRACTIONS)
        self._capital = [0.0] * len(FRACTIONS)
        self._kept = 1.0 - AT_ONCE if late else 0.0
        self._reserve = 1.0
        self._most = most / len(FRACTIONS)
        self._seen = 0
        self.evidence = 1.0
        """What there is now."""
        self.peak = 1.0
        """The most there ever was: `1 / peak` is a p-value that holds at any moment."""

    def see(self, difference: float) -> None:
        """Bet on one more difference; the bets were chosen before it was known."""
        reserve = self._kept / (1.0 + log1p(self._seen / PACE)) if self._kept else 0.0
        put = (self._reserve - reserve) / len(FRACTIONS)
        most = self._most
        self._capital = [
            min((capital + put) * (1.0 + fraction * difference), most)
            for capital, fraction in zip(self._capital, self._fractions, strict=True)
        ]
        self._reserve = reserve
        self._seen += 1
        self.evidence = sum(self._capital) + reserve
        self.peak = max(self.peak, self.evidence)
