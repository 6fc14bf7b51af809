"""Conversations in PostgreSQL, shared by every replica.

In: statements, and the URL, which is read again for each connection, so that a rotated password is used. Out:
rows. Errors: StartError where psycopg is missing, StoreError afterwards. A database that is away is no reason
not to start: readiness names it, and the first connection makes the tables.

Every agent has a schema of its own in the database, `shipway_<name>`. Nothing here outlives a transaction,
and statements are not prepared: poolers such as PgBouncer may stand in between. libpq reads what the URL says
about TLS, several hosts or timeouts, and its own environment variables.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import StartError
from . import schema, statements
from .store import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from .database import Row

CONNECTIONS = 4  # of one process at most; a turn has one for some milliseconds, never while the agent works
CONNECT_S = 5  # until there is a connection
AWAY_S = 0.5  # until there is one, where the last attempt failed; it goes on in the background
WAIT_S = 30.0  # until one of many turns that begin at once has one
ANSWER_S = 10.0  # until a statement is done
RETRY_S = 1.0  # until the pool waits for somebody to ask again
CANCEL_S = 1.0  # for the server to end a statement that is late
NAME_LIMIT = 63  # bytes of a name in PostgreSQL
DEFAULTS = {"connect_timeout": CONNECT_S, "application_name": "shipway", "tcp_user_timeout": 10_000}
"""Where the URL says nothing else. The last one, in milliseconds, is for a host that has vanished."""

POOL = "shipway-conversations"
NOW = "extract(epoch FROM clock_timestamp())::float8"
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
THERE = "SELECT to_regnamespace(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL"

T = TypeVar("T")


class Postgres:
    """The database of the agent `name`. `url` gives the current URL; None while the secret is missing."""

    add: tuple[str, ...] = (statements.COUNT_AND_ADD,)

    def __init__(
        self,
        url: Callable[[], str | None],
        name: str,
        *,
        learn: Callable[[str], None] = lambda password: None,
        versions: Sequence[schema.Version] = schema.VERSIONS,
        answer_s: float = ANSWER_S,
    ) -> None:
        try:
            import psycopg
            import psycopg_pool
        except ImportError as error:
            raise StartError(
                f"storage.url needs psycopg, and it cannot be imported ({error}); "
                'install "shipway-runtime[postgres]" where the agent runs'
            ) from None
        self._error, self._pool_timeout = psycopg.Error, psycopg_pool.PoolTimeout
        self._read_only = psycopg.errors.ReadOnlySqlTransaction
        self._url, self._learn, self._versions, self._answer_s = url, learn, versions, answer_s
        self._schema = schema_name(name)
        self._pool: AsyncConnectionPool[AsyncConnection[Row]] | None = None
        self._migrated = False
        self._migrating = asyncio.Lock()
        self._refused: str | None = "no connection yet"
        self._sql = functools.lru_cache(256)(functools.partial(translate, schema=self._schema))

    async def open(self) -> None:
        from psycopg_pool import AsyncConnectionPool

        logging.getLogger("psycopg.pool").addFilter(_not_ours)
        self._pool = AsyncConnectionPool(
            name=POOL,
            connection_class=self._connection_class(),
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=1,
            max_size=CONNECTIONS,
            reconnect_timeout=RETRY_S,
            open=False,
        )
        await self._pool.open()

    async def fetch(self, statement: str, values: Mapping[str, Any]) -> Sequence[Row]:
        async def work(connection: AsyncConnection[Row]) -> Sequence[Row]:
            return await (await connection.execute(self._sql(statement), values)).fetchall()

        return await self._run(work)

    async def change(self, values: Mapping[str, Any], *wanted: str) -> int:
        async def work(connection: AsyncConnection[Row]) -> int:
            if len(wanted) == 1:
                return (await connection.execute(self._sql(wanted[0]), values)).rowcount
            async with connection.transaction():
                count = (await connection.execute(self._sql(wanted[0]), values)).rowcount
                for statement in wanted[1:] if count else ():
                    await connection.execute(self._sql(statement), values)
            return count

        return await self._run(work)

    async def probe(self) -> None:
        if not await self.change({"version": self._versions[-1].number}, statements.PROBE):
            raise StoreError("the database was taken over by a newer shipway-runtime; run a newer one")

    async def close(self) -> None:
        if self._pool:
            await self._pool.close()

    async def _run(self, work: Callable[[AsyncConnection[Row]], Awaitable[T]]) -> T:
        """What `work` gives on a connection of the pool."""
        try:
            return await self._retried(work)
        except TimeoutError:
            raise StoreError(f"PostgreSQL: no answer within {self._answer_s:g} s") from None
        except self._pool_timeout:
            raise StoreError(f"PostgreSQL: {self._refused or 'every connection is in use'}") from None
        except (self._error, UnicodeError) as error:
            raise StoreError(f"PostgreSQL: {_say(error)}") from error

    async def _retried(self, work: Callable[[AsyncConnection[Row]], Awaitable[T]]) -> T:
        """Once more where the connection was at fault: it was idle while the server restarted.

        Every statement may run twice; what a turn has spent is then counted twice in the worst case.
        """
        if self._pool is None:
            raise StoreError("PostgreSQL: not open")
        for last in (False, True):
            async with self._pool.connection(AWAY_S if self._refused else WAIT_S) as connection:
                try:
                    return await self._work(connection, work)
                except self._error as error:
                    if last or not connection.closed:
                        raise
                    self._refused = _say(error)  # until there is a new one
            async with self._in_time():
                await self._pool.check()  # the others are broken too
        raise AssertionError

    async def _work(
        self, connection: AsyncConnection[Row], work: Callable[[AsyncConnection[Row]], Awaitable[T]]
    ) -> T:
        try:
            async with self._in_time():
                if not self._migrated:
                    await self._migrate(connection)
                done = await work(connection)
                self._refused = None
                return done
        except self._read_only:  # it is a standby now; with several hosts, another one is not
            await connection.close()
            raise

    @contextlib.asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """A statement that is late is cancelled in the server too; a server that hangs takes no part in that,
        and is left by a second timeout."""
        async with asyncio.timeout(self._answer_s + CANCEL_S), asyncio.timeout(self._answer_s):
            yield

    async def _migrate(self, connection: AsyncConnection[Row]) -> None:
        """Make the tables, or bring them up to date; whoever comes second waits, and finds it done."""
        async with self._migrating, connection.transaction():
            await connection.execute(LOCK, [self._schema])
            await self._make_schema(connection)
            [(version, oldest)] = await (await connection.execute(self._sql(schema.FOUND))).fetchall()
            for wanted in schema.missing((version, oldest), self._versions):
                for statement in wanted.adds:
                    await connection.execute(self._sql(statement))
                reached = {"version": wanted.number, "oldest": wanted.oldest}
                await connection.execute(self._sql(schema.REACHED), reached)
        self._migrated = True

    async def _make_schema(self, connection: AsyncConnection[Row]) -> None:
        from psycopg.errors import InsufficientPrivilege

        found = await connection.execute(THERE, [self._schema, f"{self._schema}.schema"])
        namespace, tables = (await found.fetchall())[0]
        try:
            if not namespace:
                await connection.execute(self._sql("CREATE SCHEMA main"))
            if not tables:
                await connection.execute(self._sql(schema.SCHEMA))
                await connection.execute(self._sql(schema.BEGIN))
        except InsufficientPrivilege as error:
            raise StoreError(
                f"PostgreSQL: {_say(error)}. Who may do that runs, once: "
                f'CREATE SCHEMA {self._schema} AUTHORIZATION "{connection.info.user}"'
            ) from None

    def _connection_class(self) -> type[AsyncConnection[Row]]:
        from psycopg import AsyncConnection, Error

        database = self

        class Connection(AsyncConnection[Any]):
            """Asks for the URL each time."""

            @classmethod
            async def connect(cls, conninfo: str = "", **settings: Any) -> Any:
                try:
                    made = await super().connect(**database._parameters(), **settings)
                except (Error, StoreError) as error:
                    database._refused = _say(error)
                    raise
                database._refused = None
                return made

        return Connection

    def _parameters(self) -> dict[str, Any]:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        url = self._url()
        if url is None:
            raise StoreError("the secret of storage.url has no value")
        try:
            given = conninfo_to_dict(url)
        except ProgrammingError:  # its message holds the URL
            raise StoreError(
                "the secret of storage.url is no URL of PostgreSQL; "
                "expected postgresql://user:password@host/database"
            ) from None
        self._learn(str(given.get("password") or ""))
        return DEFAULTS | given


def schema_name(agent: str) -> str:
    """The schema of an agent, a DNS label: one that is too long ends in a digest instead."""
    name = f"shipway_{agent.replace('-', '_')}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= NAME_LIMIT else f"{name[: NAME_LIMIT - 9]}_{digest}"


def translate(statement: str, schema: str) -> bytes:
    """A statement in PostgreSQL's words: its clock, its schema, psycopg's parameters."""
    there = re.sub(r"\bmain\b", schema, statement).replace(":now", NOW)
    return re.sub(r"(?<!:):([a-z]\w*)", r"%(\1)s", there).encode()


def _not_ours(record: logging.LogRecord) -> bool:
    """The pool logs each attempt to connect; readiness says the same, once."""
    return POOL not in record.getMessage()


def _say(error: Exception) -> str:
    """Without the lines that point into the statement."""
    return str(error).strip().partition("\n")[0]
