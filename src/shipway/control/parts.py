"""What a control is made of, for its endpoints."""

from __future__ import annotations

from dataclasses import dataclass

from shipway.control.intake import Intake
from shipway.control.store.database import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """The database, and the queue in front of it."""

    database: Database
    intake: Intake
