"""SQLite in one file: transactions that are on the disk when they end.

In: a path, a schema. Out: connections. Errors: RolloutError, where the file cannot be used; a disk that is
full is one of these, and what was written before stays.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from shipway.errors import RolloutError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Database:
    """One file; each of its users brings the tables that are its own."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RolloutError(f"{path.parent}: {error.strerror}") from None
        with self.transaction() as database:
            database.executescript(schema)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction. An IntegrityError is the caller's to explain."""
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=10.0)) as database, database:
                database.execute("PRAGMA synchronous = FULL")
                yield database
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise RolloutError(f"{self._path}: {error}") from None
