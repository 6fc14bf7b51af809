"""Rollouts that are made up: conversations of two arms, by chance with a seed.

In: the seed. Out: steps, each what happened to one arm: `(canary, scores of its turns)`. A method that counts
conversations takes their mean, one that counts turns takes each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Step = tuple[bool, tuple[float, ...]]
World = Callable[[int], Iterator[Step]]

STABLE = 0.92
GOOD, BAD = (1.0,), (0.0,)


def rates(canary: float, samples: int = 2000, share: float = 0.05) -> World:
    """Stable does well in 92 of 100; the canary as is said, for so many of its conversations."""
    return changing(lambda _: (STABLE, canary), samples, share)


def changing(rate: Callable[[int], tuple[float, float]], samples: int, share: float = 0.05) -> World:
    """Rates of stable and canary that depend on how many conversations the canary has had."""

    def world(seed: int) -> Iterator[Step]:
        chance = random.Random(seed).random  # noqa: S311
        seen = 0
        now = rate(0)
        while seen < samples:
            canary = chance() < share
            if canary:
                seen += 1
                now = rate(seen)
            yield canary, GOOD if chance() < now[canary] else BAD

    return world


def drifting(samples: int = 2000) -> World:
    """Both arms go from .95 to .85 together, evenly."""

    def rate(seen: int) -> tuple[float, float]:
        both = 0.95 - 0.10 * seen / samples
        return both, both

    return changing(rate, samples)


def late(canary: float, at: int = 500, samples: int = 2000) -> World:
    """The canary is as stable until it has had `at` conversations."""
    return changing(lambda seen: (STABLE, canary if seen >= at else STABLE), samples)


def judged(canary: float, sensitivity: float = 0.95, specificity: float = 0.80) -> World:
    """Scores are a judge's, who sees that much of the good and of the bad."""

    def shown(rate: float) -> float:
        return sensitivity * rate + (1 - specificity) * (1 - rate)

    return changing(lambda _: (shown(STABLE), shown(canary)), 2000)


def correlated(turns: int = 8, samples: int = 400) -> World:
    """Equal arms; of a conversation that goes badly, and 8 in 100 do, nine turns in ten fail."""

    def world(seed: int) -> Iterator[Step]:
        chance = random.Random(seed).random  # noqa: S311
        seen = 0
        while seen < samples:
            canary = chance() < 0.05
            seen += canary
            bad = chance() >= STABLE
            yield canary, tuple(float(not bad or chance() < 0.1) for _ in range(turns))

    return world
