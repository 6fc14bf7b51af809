"""How far a judge can be believed: what it said of answers that people had labelled.

In: labelled answers and the judge's marks. Out: a Calibration: sensitivity, specificity, and Youden's
J = sensitivity + specificity - 1, each with a 95 % interval. A difference between two revisions shows through
a judge J times as large as it is, so margins are multiplied by J before judged scores are compared.

J's interval joins the two others: Newcombe, Interval estimation for the difference between independent
proportions, 1998, method 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.evals.interval import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

FEW = 10
"""With fewer labels of a kind than this, the intervals say little, and so does J."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """`model` was asked about `good` answers labelled good and `bad` ones labelled bad; `missing` more had no
    verdict. Without labels of both kinds there is no J, and the judge counts as never calibrated."""

    model: str
    good: int = 0
    bad: int = 0
    missing: int = 0
    sensitivity: float | None = None
    specificity: float | None = None
    j: float | None = None
    sensitivity_interval: Interval = (0.0, 1.0)
    specificity_interval: Interval = (0.0, 1.0)
    j_interval: Interval = (-1.0, 1.0)
    wrong: tuple[str, ...] = ()
    """The labels that the judge did not agree with."""

    @property
    def words(self) -> str:
        """One line for people."""
        if self.j is None:
            return f"judge {self.model}: never calibrated; add labelled answers, some good, some bad"
        few = "; few labels, so this says little" if min(self.good, self.bad) < FEW else ""
        return (
            f"judge {self.model}: sensitivity {_with(self.sensitivity, self.sensitivity_interval)}, "
            f"specificity {_with(self.specificity, self.specificity_interval)}, "
            f"J {_with(self.j, self.j_interval)}, by {self.good} good and {self.bad} bad answers{few}"
        )


def calibrate(model: str, labelled: Sequence[tuple[str, bool, bool | None]]) -> Calibration:
    """The calibration by (id, what people said, what the judge said or None)."""
    known = [(identity, good, said) for identity, good, said in labelled if said is not None]
    good = [said for _, label, said in known if label]
    bad = [said for _, label, said in known if not label]
    lost = len(labelled) - len(known)
    if not good or not bad:
        return Calibration(model, len(good), len(bad), lost)
    agreed, refused = sum(good), len(bad) - sum(bad)
    sensitivity, specificity = agreed / len(good), refused / len(bad)
    inner, outer = wilson(agreed, len(good)), wilson(refused, len(bad))
    j = sensitivity + specificity - 1
    return Calibration(
        model,
        len(good),
        len(bad),
        lost,
        sensitivity,
        specificity,
        j,
        inner,
        outer,
        (
            j - math.hypot(sensitivity - inner[0], specificity - outer[0]),
            j + math.hypot(inner[1] - sensitivity, outer[1] - specificity),
        ),
        tuple(identity for identity, label, said in known if label != said),
    )


def _with(value: float | None, interval: Interval) -> str:
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"
