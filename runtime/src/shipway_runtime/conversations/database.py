"""What a store needs of a database: statements run, one transaction at a time.

In: statements, as statements.py has them, and values by name; every database knows `:now` by itself. Out:
rows, and counts of rows. Errors: StoreError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Row = tuple[Any, ...]


class Database(Protocol):
    """Every call raises StoreError when it cannot be done, and belongs to the main loop."""

    add: tuple[str, ...]
    """The statements that store a turn; the first one's count says whether it was done."""

    async def open(self) -> None:
        """Begin; a database that is away now is no error, but one that cannot be used is: StartError."""

    async def fetch(self, statement: str, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of a query."""

    async def change(self, values: Mapping[str, Any], *wanted: str) -> int:
        """Run statements as one transaction and return the first one's count of rows; where that is 0,
        nothing has changed."""

    async def probe(self) -> None:
        """See that it can be used and written now."""

    async def close(self) -> None: ...
