"""Outcomes: one JSON line a turn, on stdout, for whoever judges this revision.

In: a finished turn as `contract.Outcome`. Out: a line of the logger "shipway.outcome". Pushing them to
control comes later; the line stays the same.
"""

from __future__ import annotations

import dataclasses
import json
import logging

from ..contract import Outcome, TokenCounts
from .logs import OUTCOMES

FIELDS = tuple(field.name for field in dataclasses.fields(Outcome) if field.name != "tokens")
TOKENS = tuple(field.name for field in dataclasses.fields(TokenCounts))

_log = logging.getLogger(OUTCOMES)


def record(outcome: Outcome) -> None:
    """Write one outcome. (`dataclasses.asdict` would take half of the time a turn costs.)"""
    document = {name: getattr(outcome, name) for name in FIELDS}
    document["tokens"] = {name: getattr(outcome.tokens, name) for name in TOKENS}
    _log.info(json.dumps(document))
