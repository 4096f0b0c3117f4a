"""PostgreSQL: what is said when its server is busy, gone, restarted, frozen or another one, and how it is reached."""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority
from harness.postgres import PASSWORD, USER, Postgres, running

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.store.postgres import reader as reading
from gateway.store.postgres import writes
from gateway.store.postgres.address import Address, parse
from gateway.store.postgres.reader import PATIENT, STATEMENTS, Reader
from gateway.store.schema import migrate
from gateway.store.sql import Store, open_store

from .world import HOUR, MASTER_KEY, Hand, World, change

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


@asynccontextmanager
async def locked(server: Postgres, url: str, table: str = "grant_") -> AsyncIterator[None]:
    """Nobody else can read the table."""
    connection = await server.connect(parse(url).database)
    try:
        await connection.execute("BEGIN")
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        await connection.execute("ROLLBACK")
    finally:
        await connection.close()


async def sessions(server: Postgres, url: str) -> int:
    """How many the gateway has."""
    connection = await server.connect()
    try:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gateway' AND datname = $1"
        return int(await connection.fetchval(count, parse(url).database))
    finally:
        await connection.close()


async def touch(store: Store) -> None:
    """A write."""
    await store.accounts.guessed("nobody", True)


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
        assert time.monotonic() - began < reading.PATIENCE + 1.5
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


# how it is reached


async def test_a_server_that_asks_for_a_password_gets_it(postgres: Postgres, url: str) -> None:
    """By TCP, for reads, writes and migrations."""
    said = postgres.tcp_url(parse(url).database)
    await migrate(said, PASSWORD)
    store = await open_store(said, MASTER_KEY, Clock(), PASSWORD)
    await touch(store)
    await store.forget(0.0)
    assert await store.directory.by_grant("x") is None
    await store.aclose()


@pytest.mark.parametrize("password", ["", "wr0ng"])
async def test_a_wrong_password_is_told_and_not_shown(postgres: Postgres, url: str, password: str) -> None:
    """Nor is the right one."""
    with pytest.raises(DependencyFailed) as caught:
        await open_store(postgres.tcp_url(parse(url).database), MASTER_KEY, Clock(), password)
    text = f"{caught.value} {caught.value.__cause__!r}"
    assert [word for word in (PASSWORD, "wr0ng") if word in text] == []


async def test_a_database_that_is_not_there_is_told(postgres: Postgres) -> None:
    """And none is made."""
    for call in (open_store(postgres.url("absent"), MASTER_KEY, Clock()), migrate(postgres.url("absent"))):
        with pytest.raises(DependencyFailed, match="does not exist"):
            await call


async def test_a_server_that_is_not_there_is_told() -> None:
    """With the address, and in time."""
    with pytest.raises(DependencyFailed, match=r"127\.0\.0\.1"):
        await open_store(f"postgresql+asyncpg://{USER}@127.0.0.1:1/gateway", MASTER_KEY, Clock())


async def test_an_empty_database_is_not_opened(postgres: Postgres) -> None:
    """The error says which command makes the tables."""
    async with postgres.database() as url:
        with pytest.raises(DependencyFailed, match="gateway migrate"):
            await open_store(url, MASTER_KEY, Clock())


async def test_another_master_key_is_told(world: World) -> None:
    """At the start, not at the first login."""
    with pytest.raises(DependencyFailed, match=r"secrets\.master_key"):
        await open_store(world.url, bytes(32), Clock())


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql+asyncpg://a@db.example/b", "verify-full"), ("postgresql+asyncpg://a@10.0.0.1/b", "verify-full"),
        ("postgresql+asyncpg://a@127.0.0.1/b", "disable"), ("postgresql+asyncpg://a@[::1]/b", "disable"),
        ("postgresql+asyncpg://a@localhost/b", "disable"), ("postgresql+asyncpg://a@/b?host=/run/x", "disable"),
        ("postgresql+asyncpg://a@db.example/b?sslmode=disable", "disable"),
    ],
)  # fmt: skip
def test_a_server_elsewhere_is_verified(url: str, mode: str) -> None:
    """Unless somebody says otherwise."""
    assert parse(url).sslmode == mode


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://h/d",
        "postgresql+asyncpg://u:s3cret@h/d",
        "postgresql+asyncpg://u@h/d?ssl=1",
        "postgresql://u@h/d",
    ],
)
def test_another_url_is_refused(url: str) -> None:
    """Without showing it."""
    with pytest.raises(DependencyFailed, match=r"store\.url") as caught:
        parse(url)
    assert "s3cret" not in str(caught.value)


def test_an_address_does_not_print_its_password() -> None:
    """Values end up in logs and tracebacks."""
    address = Address("u", "h", 1, "d", "disable", password="s3cret")
    assert "s3cret" not in f"{address!r} {address}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Path]]:
    """A server with a certificate for 127.0.0.1 and nothing else, and the authority that signed it."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    certificate, key = authority.issue("127.0.0.1")
    with running() as server:
        server.stop()
        owner = server.folder.stat().st_uid
        for name, path in (("server.pem", certificate), ("server.key", key)):
            shutil.copy(path, server.folder / name)
            shutil.chown(server.folder / name, owner)
            (server.folder / name).chmod(0o600)
        server.start(ssl="on", ssl_cert_file=f"{server.folder}/server.pem", ssl_key_file=f"{server.folder}/server.key")
        yield server, authority.ca


IS_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


async def ssl_of(url: str) -> list[tuple[Any, ...]]:
    reader = Reader(parse(url, PASSWORD))
    try:
        return await reader.rows(IS_TLS)
    finally:
        await reader.aclose()


@pytest.mark.parametrize(
    "more", ["?sslmode=require", "?sslmode=verify-ca&sslrootcert={ca}", "?sslmode=verify-full&sslrootcert={ca}"]
)
async def test_a_connection_is_encrypted(guarded: tuple[Postgres, Path], more: str) -> None:
    """In each mode that says so."""
    server, ca = guarded
    assert await ssl_of(server.tcp_url("postgres", more.format(ca=ca))) == [(True,)]


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("127.0.0.1", "?sslmode=verify-full"), ("127.0.0.1", "?sslmode=verify-ca"),
        ("localhost", "?sslmode=verify-full&sslrootcert={ca}"),
        ("127.0.0.1", "?sslmode=verify-full&sslrootcert={ca}x"),
    ],
)  # fmt: skip
async def test_a_server_that_is_not_who_it_should_be_is_refused(
    guarded: tuple[Postgres, Path], host: str, more: str
) -> None:
    """Signed by somebody else, for another name, or by an authority that cannot be read."""
    server, ca = guarded
    url = server.tcp_url("postgres", more.format(ca=ca)).replace("127.0.0.1", host)
    with pytest.raises(DependencyFailed):
        await ssl_of(url)


async def test_a_server_without_tls_is_refused_where_tls_is_wanted(postgres: Postgres) -> None:
    """It is never spoken to in clear instead."""
    with pytest.raises(DependencyFailed):
        await ssl_of(postgres.tcp_url("postgres", "?sslmode=require"))


# what it says


async def test_an_error_does_not_show_the_values(world: World) -> None:
    """PostgreSQL's DETAIL has the whole row in it, or the key that is taken."""
    await world.ada("s3cret@example.org")
    for statement in (
        "INSERT INTO email SELECT 99, account_id, address, key, true, 1 FROM email",
        "INSERT INTO role (id, slug, created_at) VALUES ('x', 's3cret', NULL)",
    ):
        with pytest.raises(Exception, match="violates") as caught:
            await change(world.url, statement)
        text, error = "", caught.value
        while error is not None:
            text, error = f"{text} {error}", error.__cause__ or error.__context__  # type: ignore[assignment]
        assert "s3cret@" not in text
        assert "null, s3cret" not in text


async def test_a_text_that_it_cannot_store_is_nobodys(world: World) -> None:
    """A NUL: SQLite keeps one, PostgreSQL does not. No outage is told for it."""
    assert await world.store.directory.by_subject("https://id.example", "a\0b") is None
    with pytest.raises(RequestRejected, match="invalid_value"):
        await world.store.directory.provision("https://id.example", "a\0b", "", "Eve")


async def test_licences_do_not_depend_on_the_order_of_the_server(world: World) -> None:
    """They are sorted here."""
    account, tenant = await world.manager()
    for slug in ("b", "a", "c"):
        await world.accounts.assign_role(account.id, tenant.id, slug, "read")
    grant = await world.grants.issue_session(account.id, HOUR)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert [licence.role for licence in standing.licences] == ["a", "b", "c", "manager"]


async def test_ownerships_have_the_time_as_a_number_with_a_point(world: World) -> None:
    """JSON of PostgreSQL writes 1800000000.0 without it."""
    account = await world.ada()
    await world.accounts.create_tenant("Acme", account.id)
    grant = await world.grants.issue_session(account.id, HOUR)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert [type(owned.since) for owned in standing.ownerships] == [float]
