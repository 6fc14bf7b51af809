"""What control needs of a database: transactions, of which one writes at a time.

In: statements with values by name (`:name`), tables as `main.table`. Out: rows. Errors: StoreError.

That there is one writer is SQLite's own rule, and PostgreSQL's by a lock: what a transaction has read is
still true when it writes, and rows get their numbers in the order in which they can be seen. Calls block, so
they belong into threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shipway.errors import ShipwayError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

Row = tuple[Any, ...]


class StoreError(ShipwayError):
    """The database does not answer, or cannot be used."""


class Transaction(Protocol):
    """Statements that belong together."""

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """The rows of a query."""

    def change(self, statement: str, **values: Any) -> int:
        """Run a statement; returns how many rows it concerned."""

    def change_each(self, statement: str, values: Iterable[Mapping[str, Any]]) -> None:
        """Run a statement once for each set of values."""


class Database(Protocol):
    """Every call raises StoreError when it cannot be done."""

    def open(self) -> None:
        """Begin, and make the tables or bring them up to date."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that changes nothing."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that is committed, and on the disk, when the block ends; nothing of it is where the
        block raises."""

    def close(self) -> None: ...
