"""How a PostgreSQL server is reached: passwords, TLS, sockets, and which of its databases are opened."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority
from harness.postgres import PASSWORD, USER, Postgres, running

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.store.postgres.address import Address, parse
from gateway.store.postgres.reader import Reader
from gateway.store.schema import migrate
from gateway.store.sql import open_store

from .server import touch
from .world import MASTER_KEY, World


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    """In the place of every store's."""
    async with postgres.database("migrated", migrate) as address:
        yield address


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
