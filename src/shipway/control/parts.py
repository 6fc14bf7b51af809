"""What a control is made of, for its endpoints."""

from __future__ import annotations

from dataclasses import dataclass

from shipway.control.gates.gates import Gates
from shipway.control.http.tokens import Tokens
from shipway.control.metrics import Metrics
from shipway.control.outcomes.intake import Intake
from shipway.control.readiness import Readiness
from shipway.control.store.database import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """The database, the queue in front of it, the gates, what is measured, the tokens, and how it is."""

    database: Database
    intake: Intake
    gates: Gates
    metrics: Metrics
    tokens: Tokens
    readiness: Readiness
