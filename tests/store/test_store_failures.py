"""What SQLite says when its file is missing, replaced, locked, full, or of another key."""

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.grants import secret_digest
from gateway.store.schema import migrate
from gateway.store.seal import Sealer, master_key
from gateway.store.sql import open_store
from gateway.store.sqlite.file import database_path
from gateway.store.sqlite.reader import PATIENCE, PATIENT, STATEMENTS, Reader
from gateway.store.sqlite.writes import FinalizingConnection, open_database

from .world import HOUR, MASTER_KEY, World


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """In the place of every store's."""
    address = f"sqlite:///{tmp_path}/gateway.db"
    await migrate(address)
    return address


def file_of(url: str) -> Path:
    return database_path(url)


def lock(path: Path) -> sqlite3.Connection:
    """A connection that keeps everybody out, readers too."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    return holder


async def test_an_absent_file_is_not_made(tmp_path: Path) -> None:
    """A slip in the path must not look like an empty store."""
    with pytest.raises(DependencyFailed, match="No such file"):
        await open_store(f"sqlite:///{tmp_path}/absent.db", MASTER_KEY, Clock())
    assert os.listdir(tmp_path) == []


async def test_an_absent_folder_is_told(tmp_path: Path) -> None:
    """Migrating makes a file, not folders."""
    with pytest.raises(DependencyFailed, match="No such file"):
        await migrate(f"sqlite:///{tmp_path}/absent/gateway.db")


async def test_a_new_database_is_its_owners(url: str) -> None:
    """It holds digests and sealed keys."""
    assert os.stat(file_of(url)).st_mode & 0o777 == 0o600


async def test_an_empty_database_is_not_opened(tmp_path: Path) -> None:
    """The error says which command makes the tables."""
    (tmp_path / "gateway.db").touch()
    with pytest.raises(DependencyFailed, match="gateway migrate"):
        await open_store(f"sqlite:///{tmp_path}/gateway.db", MASTER_KEY, Clock())


async def test_a_newer_database_is_not_touched(url: str) -> None:
    """An older program neither opens nor migrates it."""
    connection = sqlite3.connect(file_of(url))
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    for call in (open_store(url, MASTER_KEY, Clock()), migrate(url)):
        with pytest.raises(DependencyFailed, match="newer than this program"):
            await call


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """And it stays as it is."""
    path = tmp_path / "gateway.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(DependencyFailed, match="not a database"):
        await open_store(f"sqlite:///{path}", MASTER_KEY, Clock())


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "nothing", ""])
async def test_another_store_is_refused(url: str) -> None:
    """With what to write instead."""
    with pytest.raises(DependencyFailed, match="sqlite:///"):
        database_path(url)


async def test_another_master_key_is_told(world: World) -> None:
    """At the start, not at the first login."""
    with pytest.raises(DependencyFailed, match=r"secrets\.master_key"):
        await open_store(world.url, bytes(32), Clock())


async def test_a_deleted_file_is_told_and_comes_back(world: World) -> None:
    """Reads and writes fail while it is gone, rather than go on in a file that nobody sees; then they work again."""
    grant = await world.grants.issue_session((await world.ada()).id, HOUR)
    path = file_of(world.url)
    await world.store.directory.by_grant(grant.id)
    os.rename(path, path.with_suffix(".away"))
    with pytest.raises(DependencyFailed, match="No such file"):
        await world.store.directory.by_grant(grant.id)
    with pytest.raises(DependencyFailed, match="No such file"):
        await world.ada("eve@example.org")
    os.rename(path.with_suffix(".away"), path)
    assert await world.store.directory.by_grant(grant.id) is not None
    assert len(await world.accounts.accounts()) == 1


async def test_a_replaced_file_is_read_afresh(world: World) -> None:
    """A restored backup counts from the next read on, for reads and writes alike."""
    grant = await world.grants.issue_session((await world.ada()).id, HOUR)
    await world.store.directory.by_grant(grant.id)
    path = file_of(world.url)
    backup = path.with_name("backup.db")
    await migrate(f"sqlite:///{backup}")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(backup, path)
    assert await world.store.directory.by_grant(grant.id) is None
    assert list(await world.accounts.accounts()) == []


async def test_a_locked_database_is_waited_for_in_vain(url: str) -> None:
    """When the lock stays, the read fails within its patience."""
    holder = lock(file_of(url))
    reader = Reader(file_of(url), patience=0.05)
    began = time.monotonic()
    with pytest.raises(DependencyFailed, match="locked"):
        await reader.rows(STATEMENTS.by_grant, ("x",))
    assert time.monotonic() - began < PATIENCE
    holder.close()
    await reader.aclose()


async def test_a_database_that_was_locked_is_read_again(url: str) -> None:
    """The failure leaves nothing behind."""
    holder = lock(file_of(url))
    reader = Reader(file_of(url), patience=0.05)
    with pytest.raises(DependencyFailed):
        await reader.rows(STATEMENTS.by_grant, ("x",))
    holder.close()
    assert await reader.rows(STATEMENTS.by_grant, ("x",)) == []
    await reader.aclose()


async def test_a_write_waits_for_a_lock_in_vain(url: str) -> None:
    """When the lock stays, the write fails within its patience; when it is gone, the next one succeeds."""
    holder = lock(file_of(url))
    database = open_database(file_of(url), patience=0.05)

    async def write() -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql(
                "INSERT INTO revocation (id, at, kind, subject) VALUES (1000, 1, 'all', '')"
            )

    with pytest.raises(DependencyFailed, match="locked"):
        await write()
    holder.close()
    await write()
    await database.aclose()


async def test_a_write_that_is_cancelled_while_it_reads_gives_up_its_lock(url: str) -> None:
    """At once, and not when somebody collects its traceback, which is held here."""
    database = open_database(file_of(url))
    reached, go = threading.Event(), threading.Event()

    def meet() -> None:
        reached.set()
        assert go.wait(30)

    async def read() -> None:
        async with database.writing() as connection:
            raw = await connection.get_raw_connection()
            await raw.driver_connection.create_function("meet", 0, meet)
            await connection.exec_driver_sql("SELECT meet()")

    reading = asyncio.create_task(read())
    assert await asyncio.to_thread(reached.wait, 30)
    reading.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError) as held:
        await reading
    with closing(sqlite3.connect(file_of(url), 0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
    assert held.value.__traceback__ is not None
    await database.aclose()


def test_a_connection_is_closed_twice(url: str) -> None:
    """As what is cancelled a second time does; a cursor is held, as a traceback holds it."""
    connection = sqlite3.connect(file_of(url), factory=FinalizingConnection)
    cursor = connection.cursor()
    for _ in range(2):
        connection.close()
    with pytest.raises(sqlite3.ProgrammingError):
        cursor.execute("SELECT 1")


async def test_only_so_many_reads_wait_for_a_lock(url: str) -> None:
    """One more is refused at once: each holds a client's connection."""
    holder = lock(file_of(url))
    reader = Reader(file_of(url), patience=0.2)
    reads = [reader.rows(STATEMENTS.by_grant, ("x",)) for _ in range(PATIENT + 1)]
    answers = [str(answer) for answer in await asyncio.gather(*reads, return_exceptions=True)]
    assert sum("too many reads" in answer for answer in answers) == 1
    holder.close()
    await reader.aclose()


async def test_a_full_database_refuses_and_keeps_what_it_has(world: World) -> None:
    """A write that finds no room is undone whole."""
    await world.ada()
    database = open_database(file_of(world.url))

    async def fill() -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1")
            await connection.exec_driver_sql("UPDATE account SET name = 'changed'")
            await connection.exec_driver_sql("UPDATE account SET name = ?", ("x" * 1_000_000,))

    with pytest.raises(DependencyFailed, match="full"):
        await fill()
    await database.aclose()
    assert [account.name for account in await world.accounts.accounts()] == ["ada@example.org"]


async def test_the_reader_cannot_write(url: str) -> None:
    """Whatever statement reaches it."""
    reader = Reader(file_of(url))
    with pytest.raises(DependencyFailed, match="readonly"):
        await reader.rows("DELETE FROM account")
    await reader.aclose()


async def test_no_secret_is_in_the_file(world: World) -> None:
    """Neither a token nor a connection string nor a key can be read from a stolen database."""
    account, tenant = await world.manager()
    opaque = await world.grants.issue_opaque(account.id, HOUR)
    string = await world.grants.create_connection_string(account.id, tenant.id, "manager", world.hand.at + 60)
    keys = [key.private for key in await world.store.keys.signing_keys()]
    keys += [key.secret for key in await world.store.keys.mac_keys()]
    path = file_of(world.url)
    stored = path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()
    for secret in (opaque.secret.encode()[8:], string.secret.encode()[-64:], *keys):
        assert secret not in stored
    assert secret_digest("opaque", opaque.secret.encode()) in stored


async def test_an_error_does_not_show_the_values(world: World) -> None:
    """A broken statement is told without what was bound to it."""
    database = open_database(file_of(world.url))
    with pytest.raises(DependencyFailed) as caught:
        async with database.writing() as connection:
            await connection.exec_driver_sql("INSERT INTO nowhere VALUES (?)", ("s3cret",))
    await database.aclose()
    fault = caught.value.__cause__ or caught.value.__context__
    assert fault is not None
    assert "s3cret" not in f"{caught.value} {fault}"


def test_a_sealed_value_opens_only_in_its_place() -> None:
    """A value copied into another row does not open there."""
    sealer = Sealer(MASTER_KEY, os.urandom)
    sealed = sealer.seal(b"secret", "mac_key:1:secret_enc")
    assert sealer.open(sealed, "mac_key:1:secret_enc") == b"secret"
    with pytest.raises(DependencyFailed):
        sealer.open(sealed, "mac_key:2:secret_enc")


def test_an_altered_value_does_not_open() -> None:
    """Any bit of it counts, and so does its end."""
    sealer = Sealer(MASTER_KEY, os.urandom)
    sealed = sealer.seal(b"secret", "place")
    altered = [sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :] for i in range(len(sealed))]
    for wrong in (*altered, sealed[:-1], sealed[:5], b""):
        with pytest.raises(DependencyFailed):
            sealer.open(wrong, "place")


@pytest.mark.parametrize(
    "text",
    [
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ],
)
def test_a_master_key_is_hex_or_base64(text: str) -> None:
    """Both spell the same 32 bytes."""
    assert master_key(text) == MASTER_KEY


@pytest.mark.parametrize("text", ["", "AAEC", "00" * 31, "zz" * 32, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AAAA="])
def test_a_master_key_of_another_size_is_refused(text: str) -> None:
    """Nothing is padded, cut or hashed into shape."""
    with pytest.raises(ValueError, match="32 bytes"):
        master_key(text)
