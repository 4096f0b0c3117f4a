"""The reads of a cold authentication, on an asyncpg pool: one hand-written query each, and one round trip."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import asyncpg

from gateway.errors import DependencyFailed
from gateway.store.outages import failed
from gateway.store.postgres.address import Address, arguments
from gateway.store.reading import ACCOUNT, GRANT, LICENCES, OWNERSHIPS, Row, Statements

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

CONNECTIONS = 4  # of a worker, beside those that write; at a millisecond a read that is 4,000 strangers a second
PATIENCE = 2.0  # seconds that a read may take, with the wait for a connection
PATIENT = 1024  # reads that may wait at once; each holds a client's connection
IDLE = 60.0  # seconds after which a connection that nobody uses is closed; the server has them for every worker

HOLDINGS = f"""
  (SELECT coalesce(json_agg(json_build_array(t.account_id, ta.name, t.id, r.slug, r.id, ra.permission, ra.accepted)),
     '[]')::text {LICENCES}),
  (SELECT coalesce(json_agg(json_build_array(t.id, t.name, o.since)), '[]')::text {OWNERSHIPS}),
"""
FROM_GRANT = f"SELECT {ACCOUNT} {HOLDINGS} {GRANT} FROM grant_ g JOIN account a ON a.id = g.account_id"  # noqa: S608
STATEMENTS = Statements(
    by_grant=f"{FROM_GRANT} WHERE g.id = $1",
    by_secret=f"{FROM_GRANT} WHERE g.secret_hash = $1",
    by_subject=f"SELECT {ACCOUNT} {HOLDINGS} NULL FROM external_identity x JOIN account a ON a.id = x.account_id"  # noqa: S608
    " WHERE x.issuer = $1 AND x.subject = $2",
    since="SELECT id, kind, subject FROM revocation WHERE id > $1 ORDER BY id",
    due="SELECT EXISTS (SELECT 1 FROM outbox WHERE sent_at IS NULL AND failed_at IS NULL AND due_at <= $1)",
    has_tables="SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
)

# the server was restarted, or ended this session: a read may be asked again. The last is what asyncpg says of a session
# whose end arrived while nobody used it
ENDED = (
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.AdminShutdownError,
    asyncpg.IdleSessionTimeoutError,
    ConnectionResetError,
    BrokenPipeError,
    asyncpg.InternalClientError,
)
FAILED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


class Reading(asyncpg.Connection):
    """It changes nothing in its session, so there is nothing to reset when it goes back to the pool: a round trip."""

    def get_reset_query(self) -> str:
        return ""


class Reader:
    """A bounded pool, opened by the first read. patience: seconds that a read may take, with all its waits."""

    def __init__(self, address: Address, patience: float = PATIENCE, connections: int = CONNECTIONS) -> None:
        self._address = address
        self._patience = patience
        self._connections = connections
        self._pool: Pool | None = None
        self._waiting = 0

    async def rows(self, statement: str, values: tuple[object, ...] = ()) -> list[Row]:
        """Raises DependencyFailed (`store.outages`)."""
        if self._waiting >= PATIENT:
            raise DependencyFailed("store_unavailable", "too many reads wait for the database", 1)
        self._waiting += 1
        try:
            await asyncio.sleep(0)  # the timeout is for the task that goes on from here (`identity.ports`)
            async with asyncio.timeout(self._patience):
                return await self._twice(statement, values)
        except asyncpg.CharacterNotInRepertoireError:
            return []  # a NUL: no row has it, as none could be stored
        except TimeoutError as error:
            raise DependencyFailed("store_unavailable", "the database does not answer in time", 1) from error
        except FAILED as error:
            failed(error, f"{self._address}: {error}")
        finally:
            self._waiting -= 1

    def usage(self) -> Mapping[str, int]:
        pool = self._pool
        open_, idle = (pool.get_size(), pool.get_idle_size()) if pool is not None else (0, 0)
        return {"open": open_, "idle": idle, "calls": self._waiting}

    async def _twice(self, statement: str, values: tuple[object, ...]) -> list[Row]:
        pool = self._pool or await self._open()
        try:
            return await _fetched(pool, statement, values)
        except ENDED:
            await pool.expire_connections()  # the others were of the same server
            return await _fetched(pool, statement, values)

    async def _open(self) -> "Pool":
        # with no connection at first there is nothing to wait for in here, so nobody else opens one meanwhile
        self._pool = await asyncpg.create_pool(
            min_size=0,
            max_size=self._connections,
            max_inactive_connection_lifetime=IDLE,
            connection_class=Reading,
            **arguments(self._address, self._patience, default_transaction_read_only="on"),
        )
        return self._pool

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(1):
                    await pool.close()
            except (TimeoutError, *FAILED):
                pool.terminate()


async def _fetched(pool: "Pool", statement: str, values: tuple[object, ...]) -> list[Row]:
    async with pool.acquire() as connection:
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        except (asyncio.CancelledError, TimeoutError):
            connection.terminate()  # asyncpg would first ask the server to stop, and wait for its answer
            raise
