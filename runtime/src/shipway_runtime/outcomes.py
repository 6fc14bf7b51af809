"""Outcomes: one JSON line a turn, on stdout, for whoever judges this revision.

In: a finished turn as `contract.Outcome`. Out: a line of the logger "shipway.outcome". Pushing them to
control comes later; the line stays the same.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from .telemetry import OUTCOMES

if TYPE_CHECKING:
    from .contract import Outcome

_log = logging.getLogger(OUTCOMES)


def record(outcome: Outcome) -> None:
    """Write one outcome."""
    _log.info("%s", json.dumps(asdict(outcome)))
