"""Transactions over a SQLAlchemy engine, SQLite's and PostgreSQL's alike, and what a failure is called.

How each engine is opened, and with which bounds, is in `sqlite/writes.py` and `postgres/writes.py`.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import DependencyFailed, RequestRejected
from gateway.store import notes, revocations
from gateway.store.outages import failed
from gateway.store.tables import metadata

NOT_A_CHARACTER = "22021"  # SQLSTATE of what PostgreSQL says to a NUL


@contextmanager
def translated() -> Iterator[None]:
    """Foreign errors become ours. A broken constraint stays what it is: the statement's author knows it."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        if getattr(error.driver_exception, "sqlstate", None) == NOT_A_CHARACTER:
            raise RequestRejected("invalid_value", "a text has characters that cannot be stored") from error
        failed(error.driver_exception or error, str(error.orig))
    except sqlite3.Error as error:
        failed(error, str(error))
    except PoolTimeout as error:
        raise DependencyFailed("store_unavailable", "every connection to the database is busy", 1) from error
    except OSError as error:  # a TimeoutError is one: nobody answers at the address, or not in time
        raise DependencyFailed("store_unavailable", f"the database does not answer: {error}", 1) from error


class Database:
    """ready: raises DependencyFailed where the database is not there to be opened.

    snapshot: execution options of a transaction that reads.
    """

    def __init__(self, engine: AsyncEngine, ready: Callable[[], object], snapshot: Mapping[str, object]) -> None:
        self._engine = engine
        self._ready = ready
        self._snapshot = snapshot
        self.scribe: notes.Writer | None = None  # of the audit trail; None where there is none yet: in a migration

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction. What it did is told in its last statements (`store.audit`, `store.revocations`).

        On SQLite it holds the write lock from its start, so that what it read stays true until it commits. On
        PostgreSQL each statement sees what others have committed by then, and what must stay true is locked
        (`store.locks`).
        """
        await self._on_our_own()
        with translated():
            async with self._engine.begin() as connection:
                try:
                    revocations.begin(connection)
                    notes.begin(connection)
                    yield connection
                    await notes.write(connection, self.scribe)
                    await revocations.tell(connection)
                except TimeoutError:
                    await connection.invalidate()  # nobody is there who could be asked to roll back
                    raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One consistent snapshot; waits for nobody."""
        await self._on_our_own()
        with translated():
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(**self._snapshot)
                async with connection.begin():
                    yield connection

    async def aclose(self) -> None:
        await self._engine.dispose()

    async def _on_our_own(self) -> None:
        self._ready()
        await asyncio.sleep(0)  # the pool's timeouts are for the task that goes on from here (`identity.ports`)


def broken(error: IntegrityError) -> str:
    """The name of the unique constraint or index that a statement broke, as `tables` has it; "" for another kind.

    PostgreSQL names it. SQLite names its columns: `UNIQUE constraint failed: email.key`.
    """
    name = getattr(error.driver_exception, "constraint_name", None)
    if isinstance(name, str):
        return name
    _, found, columns = str(error.orig).partition("UNIQUE constraint failed: ")
    return _unique().get(columns, "") if found else ""


def _unique() -> dict[str, str]:
    """Names by columns, as SQLite writes these."""
    held: list[UniqueConstraint | Index] = []
    for table in metadata.tables.values():
        held += [one for one in table.constraints if isinstance(one, UniqueConstraint)]
        held += [index for index in table.indexes if index.unique]
    return {", ".join(map(str, unique.columns)): str(unique.name) for unique in held}
