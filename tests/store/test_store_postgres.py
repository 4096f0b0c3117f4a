"""PostgreSQL: what is said when its server is busy, gone, restarted, frozen or another one."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from harness.postgres import Postgres, running

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.store.postgres import reader as reading
from gateway.store.postgres import writes
from gateway.store.postgres.address import parse
from gateway.store.postgres.reader import PATIENT, STATEMENTS, Reader
from gateway.store.schema import migrate
from gateway.store.sql import open_store

from .server import locked, sessions, touch
from .world import HOUR, MASTER_KEY, Hand, World

BY_GRANT = STATEMENTS.by_grant


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    """In the place of every store's."""
    async with postgres.database("migrated", migrate) as address:
        yield address


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that may be stopped."""
    with running(synchronous_commit="on") as server:
        yield server


@pytest.fixture
async def away(own: Postgres) -> AsyncIterator[World]:
    """A store on it."""
    async with own.database("migrated", migrate) as url:
        hand = Hand()
        clock = Clock(now=hand.now)
        store = await open_store(url, MASTER_KEY, clock)
        found = World(url, store, hand, clock)
        await found.keys.ensure("EdDSA")
        yield found
        await store.aclose()


# bounds


async def test_reads_share_four_connections(postgres: Postgres, world: World) -> None:
    """However many there are."""
    await asyncio.gather(*(world.store.directory.by_grant("x") for _ in range(200)))
    await world.store.changes().database.aclose()
    assert 1 <= await sessions(postgres, world.url) <= reading.CONNECTIONS


async def test_writes_share_four_connections(postgres: Postgres, url: str) -> None:
    """However many there are."""
    database = writes.open_database(parse(url))

    async def write() -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql("SELECT 1")

    await asyncio.gather(*(write() for _ in range(100)))
    assert 1 <= await sessions(postgres, url) <= writes.CONNECTIONS
    await database.aclose()


async def test_a_read_gives_up_in_time(postgres: Postgres, url: str) -> None:
    """When a lock stays; and the next one works once it is gone."""
    reader = Reader(parse(url), patience=0.2)
    async with locked(postgres, url):
        began = time.monotonic()
        with pytest.raises(DependencyFailed) as caught:
            await reader.rows(BY_GRANT, ("x",))
        assert (caught.value.code, caught.value.retry_after, time.monotonic() - began < 2) == (
            "store_unavailable",
            1,
            True,
        )
    assert await reader.rows(BY_GRANT, ("x",)) == []
    await reader.aclose()


async def test_a_read_that_waits_for_a_connection_gives_up_in_time(postgres: Postgres, url: str) -> None:
    """All of them wait for a lock: nobody who comes later gets one, and all get theirs once it is gone."""
    reader = Reader(parse(url), patience=0.3)
    async with locked(postgres, url):
        reads = [reader.rows(BY_GRANT, ("x",)) for _ in range(reading.CONNECTIONS * 8)]
        found = await asyncio.gather(*reads, return_exceptions=True)
    assert {type(one) for one in found} == {DependencyFailed}
    assert await reader.rows(BY_GRANT, ("x",)) == []
    await reader.aclose()


async def test_only_so_many_reads_wait(postgres: Postgres, url: str) -> None:
    """One more is refused at once: each holds a client's connection."""
    reader = Reader(parse(url), patience=0.3)
    async with locked(postgres, url):
        tasks = [reader.rows(BY_GRANT, ("x",)) for _ in range(PATIENT + 1)]
        answers = [str(one) for one in await asyncio.gather(*tasks, return_exceptions=True)]
    assert sum("too many reads" in answer for answer in answers) == 1
    await reader.aclose()


async def test_what_the_reads_use_is_told(url: str) -> None:
    """Nothing before the first; then the connections there are, and the calls that have one or wait for one."""
    reader = Reader(parse(url), patience=5)
    first = dict(reader.usage())
    calls = [asyncio.create_task(reader.rows("SELECT pg_sleep(0.2)")) for _ in range(6)]
    async with asyncio.timeout(5):
        while reader.usage()["open"] < 4:  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.005)
    busy = dict(reader.usage())
    await asyncio.gather(*calls)
    after = dict(reader.usage())
    await reader.aclose()
    assert first == {"open": 0, "idle": 0, "calls": 0}
    assert busy["calls"] == 6
    assert after == {"open": 4, "idle": 4, "calls": 0}


async def test_a_write_waits_for_a_lock_in_vain(postgres: Postgres, url: str) -> None:
    """When the lock stays, the write fails within its patience; when it is gone, the next one succeeds."""
    database = writes.open_database(parse(url), patience=0.1)

    async def write() -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql("UPDATE grant_ SET name = ''")

    async with locked(postgres, url):
        with pytest.raises(DependencyFailed, match="lock timeout") as caught:
            await write()
        assert caught.value.retry_after == 1
    await write()
    await database.aclose()


async def test_a_write_waits_for_a_connection_in_vain(url: str) -> None:
    """All four are busy."""
    database, go = writes.open_database(parse(url), turn=0.1), asyncio.Event()
    taken = 0

    async def hold() -> None:
        nonlocal taken
        async with database.writing():
            taken += 1
            await go.wait()

    holders = [asyncio.create_task(hold()) for _ in range(writes.CONNECTIONS)]
    async with asyncio.timeout(20):
        while taken < writes.CONNECTIONS:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    with pytest.raises(DependencyFailed, match="busy") as caught:
        await hold()
    go.set()
    await asyncio.gather(*holders)
    assert caught.value.retry_after == 1
    await database.aclose()


@pytest.mark.parametrize(
    ("name", "reader", "writer"),
    [
        ("statement_timeout", "2s", "6s"), ("lock_timeout", "0", "5s"),
        ("idle_in_transaction_session_timeout", "0", "15s"), ("default_transaction_read_only", "on", "off"),
        ("default_transaction_isolation", "read committed", "read committed"), ("application_name",) + ("gateway",) * 2,
    ],
)  # fmt: skip
async def test_a_session_is_bounded_by_the_server_as_well(url: str, name: str, reader: str, writer: str) -> None:
    """For a worker that has gone, or hangs."""
    asking, database = Reader(parse(url)), writes.open_database(parse(url))
    async with database.writing() as connection:
        written = (await connection.exec_driver_sql(f"SHOW {name}")).scalar()
    assert ([row[0] for row in await asking.rows(f"SHOW {name}")], written) == ([reader], writer)
    await asking.aclose()
    await database.aclose()


async def test_the_reader_cannot_write(url: str) -> None:
    """Whatever statement reaches it."""
    reader = Reader(parse(url))
    with pytest.raises(DependencyFailed, match="read-only"):
        await reader.rows("DELETE FROM account")
    await reader.aclose()


async def test_a_read_is_one_snapshot(world: World) -> None:
    """What others commit meanwhile is not in it."""
    await world.ada()
    async with world.store.changes().database.reading() as connection:
        before = (await connection.exec_driver_sql("SELECT count(*) FROM account")).scalar()
        await world.ada("bob@example.org")
        assert (await connection.exec_driver_sql("SELECT count(*) FROM account")).scalar() == before


# a server that goes


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_server_that_was_restarted_is_read_and_written_again(
    own: Postgres, away: World, how: signal.Signals
) -> None:
    """While it is away every call fails, with what may be over soon; nothing has to be opened anew."""
    grant = await away.grants.issue_session((await away.ada()).id, HOUR)
    own.stop(how)
    calls = (
        away.store.directory.by_grant(grant.id), away.store.revocations.latest(), touch(away.store),
        away.grants.issue_session(grant.account_id, HOUR), away.store.touch({grant.id: 1.0}), away.store.forget(0.0),
    )  # fmt: skip
    try:
        for call in calls:
            with pytest.raises(DependencyFailed) as caught:
                await call
            assert (caught.value.code, caught.value.retry_after) == ("store_unavailable", 1)
    finally:
        own.start()
    assert await away.store.directory.by_grant(grant.id) is not None
    await away.grants.issue_session(grant.account_id, HOUR)
    await away.store.touch({grant.id: 1.0})


async def test_a_restart_that_nobody_saw_costs_nobody_anything(own: Postgres, away: World) -> None:
    """Connections that broke while they were idle are replaced."""
    await asyncio.gather(
        *(away.store.directory.by_grant("x") for _ in range(20)), *(touch(away.store) for _ in range(8))
    )
    await asyncio.to_thread(own.stop)
    await asyncio.to_thread(own.start)
    await asyncio.gather(
        *(away.store.directory.by_grant("x") for _ in range(20)), *(touch(away.store) for _ in range(8))
    )


async def test_a_read_whose_session_is_ended_is_asked_again(postgres: Postgres, url: str) -> None:
    """On another connection."""
    reader = Reader(parse(url), patience=5)
    ends = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%pg_sleep(0.3)%' AND pid <> pg_backend_pid()"
    )
    task = asyncio.create_task(reader.rows("SELECT 1 FROM pg_sleep(0.3)"))
    connection = await postgres.connect()
    async with asyncio.timeout(5):
        while not await connection.fetch(ends):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    assert await task == [(1,)]
    await connection.close()
    await reader.aclose()


async def test_a_server_that_answers_nobody_is_given_up_in_time(own: Postgres, away: World) -> None:
    """A network may swallow everything and break nothing; then it works again."""
    await away.store.directory.by_grant("x")
    own.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(DependencyFailed):
            await away.store.directory.by_grant("x")
        assert time.monotonic() - began < reading.PATIENCE + 4
    finally:
        own.thaw()
    assert await away.store.directory.by_grant("x") is None


async def test_a_write_to_a_server_that_answers_nobody_is_given_up_in_time(own: Postgres, away: World) -> None:
    """By the client, as the server cannot."""
    database = writes.open_database(parse(away.url), patience=0.1)

    async def write() -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql("UPDATE grant_ SET name = ''")

    await write()
    own.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(DependencyFailed, match="does not answer"):
            await write()
        assert time.monotonic() - began < 8
    finally:
        own.thaw()
    await write()
    await database.aclose()
