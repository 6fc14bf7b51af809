"""Control's database in PostgreSQL, which several controls may share.

In: statements, and a URL, which is asked for at each connection, so that a rotated password is used. Out:
rows. Errors: StoreError. Tables are in a schema of their own, `shipway_control`. Nothing outlives a
transaction and nothing is prepared, so poolers such as PgBouncer may stand in between.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

from shipway.control.store import schema
from shipway.control.store.database import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from psycopg import Connection
    from psycopg_pool import ConnectionPool

    from shipway.control.store.database import Row

SCHEMA = "shipway_control"
POOL = "shipway-control"
CONNECTIONS = 8
CONNECT_S = 5  # until there is a connection
WAIT_S = 5.0  # until one of the pool is free
ANSWER_MS = 10_000  # until a statement is done; PostgreSQL ends it then
DEFAULTS = {"connect_timeout": CONNECT_S, "application_name": POOL, "tcp_user_timeout": ANSWER_MS}
"""Where the URL says nothing else. The last one is for a host that has vanished."""

TIMEOUT = f"SET LOCAL statement_timeout = {ANSWER_MS}"
READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {TIMEOUT}"
WRITE = f"BEGIN; {TIMEOUT}; SELECT pg_advisory_xact_lock(hashtextextended('{SCHEMA}', 0))"
"""Each is one message. What is read after the lock is as the last writer left it."""

THERE = "SELECT to_regnamespace(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL"


class Postgres:
    """`url` gives the URL as it is now."""

    def __init__(self, url: Callable[[], str], versions: Sequence[schema.Version] = schema.VERSIONS) -> None:
        try:
            import psycopg
            import psycopg_pool
        except ImportError as error:
            raise StoreError(
                f"PostgreSQL needs psycopg, and it cannot be imported: {error}",
                'install "shipway[postgres]"',
            ) from None
        self._errors = (psycopg.Error, psycopg_pool.PoolTimeout, UnicodeError)
        self._url, self._versions = url, versions
        self._pool: ConnectionPool[Connection[Row]] | None = None
        self._migrated = False
        self._migrating = threading.Lock()
        self._refused: str | None = None

    def open(self) -> None:
        """A database that is away is no reason not to start; one that cannot be used is."""
        from psycopg_pool import ConnectionPool

        self._parameters()
        logging.getLogger("psycopg.pool").addFilter(_not_ours)
        self._pool = ConnectionPool(
            name=POOL,
            connection_class=self._connection_class(),
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=1,
            max_size=CONNECTIONS,
            timeout=WAIT_S,
            check=ConnectionPool.check_connection,
            open=True,
        )

    @contextlib.contextmanager
    def read(self) -> Iterator[Statements]:
        with self._transaction(READ) as transaction:
            yield transaction

    @contextlib.contextmanager
    def write(self) -> Iterator[Statements]:
        with self._transaction(WRITE) as transaction:
            yield transaction

    def close(self) -> None:
        if self._pool:
            self._pool.close()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[Statements]:
        if self._pool is None:
            raise StoreError("PostgreSQL: not open")
        try:
            with self._pool.connection() as connection:
                if not self._migrated:
                    self._migrate(connection)
                with _ended(connection, begin):
                    yield Statements(connection)
            self._refused = None
        except self._errors as error:
            raise StoreError(f"PostgreSQL: {self._refused or _say(error)}") from error

    def _migrate(self, connection: Connection[Row]) -> None:
        """Make the tables, or bring them up to date; whoever comes second waits, and finds it done."""
        with self._migrating, _ended(connection, WRITE):
            self._make_schema(connection)
            transaction = Statements(connection)
            [(version, oldest)] = transaction.rows(schema.FOUND)
            for wanted in schema.missing((version, oldest), self._versions):
                for statement in wanted.adds:
                    transaction.change(statement)
                transaction.change(schema.REACHED, version=wanted.number, oldest=wanted.oldest)
        self._migrated = True

    def _make_schema(self, connection: Connection[Row]) -> None:
        from psycopg.errors import InsufficientPrivilege

        [(namespace, tables)] = connection.execute(THERE, [SCHEMA, f"{SCHEMA}.schema"]).fetchall()
        transaction = Statements(connection)
        try:
            if not namespace:
                transaction.change("CREATE SCHEMA main")
            if not tables:
                transaction.change(schema.SCHEMA)
                transaction.change(schema.BEGIN)
        except InsufficientPrivilege as error:
            raise StoreError(
                f"PostgreSQL: {_say(error)}",
                f'who may do that runs, once: CREATE SCHEMA {SCHEMA} AUTHORIZATION "{connection.info.user}"',
            ) from None

    def _connection_class(self) -> type[Connection[Row]]:
        from psycopg import Connection, Error

        database = self

        class Asking(Connection[Any]):
            """Asks for the URL each time."""

            @classmethod
            def connect(cls, conninfo: str = "", **settings: Any) -> Any:
                try:
                    made = super().connect(**database._parameters(), **settings)
                except (Error, StoreError) as error:
                    database._refused = _say(error)
                    raise
                database._refused = None
                return made

        return Asking

    def _parameters(self) -> dict[str, Any]:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            return DEFAULTS | conninfo_to_dict(self._url())
        except ProgrammingError:  # its message holds the URL
            raise StoreError(
                "the database's URL is none of PostgreSQL's",
                "expected postgresql://user:password@host/database",
            ) from None


class Statements:
    """A transaction on a connection."""

    def __init__(self, connection: Connection[Row]) -> None:
        self._connection = connection

    def rows(self, statement: str, **values: Any) -> list[Row]:
        return self._connection.execute(translate(statement), values).fetchall()

    def change(self, statement: str, **values: Any) -> int:
        return self._connection.execute(translate(statement), values).rowcount

    def change_each(self, statement: str, values: Iterable[Mapping[str, Any]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(translate(statement), values)


@contextlib.contextmanager
def _ended(connection: Connection[Row], begin: str) -> Iterator[None]:
    """A transaction, committed where the block does not raise."""
    connection.execute(begin.encode())
    try:
        yield
        connection.execute(b"COMMIT")
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise


@functools.lru_cache(512)
def translate(statement: str) -> bytes:
    """A statement in PostgreSQL's words: its schema, its keys that count up, psycopg's parameters."""
    there = re.sub(r"\bmain\.|(?<=SCHEMA )main\b", lambda match: SCHEMA + match[0][4:], statement)
    there = there.replace("NUMBERED", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    return re.sub(r"(?<!:):([a-z]\w*)", r"%(\1)s", there).encode()


def _not_ours(record: logging.LogRecord) -> bool:
    """The pool logs each attempt to connect; readiness says the same, once."""
    return POOL not in record.getMessage()


def _say(error: Exception) -> str:
    """Without the lines that point into the statement."""
    return str(error).strip().partition("\n")[0]
