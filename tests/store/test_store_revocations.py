"""The table of revocations, in every store."""

import asyncio

import pytest
from harness.postgres import Postgres

from gateway.store import revocations
from gateway.store.schema import migrate

from .world import World


@pytest.mark.parametrize(("later", "left"), [(0.0, 1), (0.001, 0)])
async def test_rows_older_than_the_bound_are_deleted(world: World, later: float, left: int) -> None:
    """Both sides of it."""
    account = await world.ada()
    start = await world.store.revocations.latest()
    await world.accounts.disable(account.id)
    assert len(await world.store.revocations.since(start)) == 1
    await world.store.revocations.prune(world.hand.at + later)
    assert len(await world.store.revocations.since(start)) == left


async def test_an_id_is_never_given_out_again(world: World) -> None:
    """Whoever remembers the last id would else miss the next row."""
    account = await world.ada()
    await world.accounts.disable(account.id)
    last = await world.store.revocations.latest()
    await world.store.revocations.prune(world.hand.at + 1)
    await world.accounts.enable(account.id)
    assert [row.id > last for row in await world.store.revocations.since(last)] == [True]


async def test_a_row_that_commits_late_is_read(world: World) -> None:
    """Its transaction began first. The other one waits for it with the number that it takes, so that numbers commit in
    order."""
    ada, bob = await world.ada(), await world.ada("bob@example.org")
    last = await world.store.revocations.latest()
    database, told, go = world.store.changes().database, asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with database.writing() as connection:
            await revocations.revoked(connection, world.hand.at, "account", ada.id)
            await revocations.tell(connection)
            revocations.begin(connection)
            told.set()
            await go.wait()

    first = asyncio.create_task(slow())
    await told.wait()
    second = asyncio.create_task(world.store.accounts.set_status(bob.id, "disabled"))
    done, _ = await asyncio.wait([second], timeout=0.2)
    seen = [row.subject for row in await world.store.revocations.since(last)]
    assert (len(done), seen, await world.store.revocations.latest()) == (0, [], last)
    go.set()
    await asyncio.gather(first, second)
    assert [row.subject for row in await world.store.revocations.since(last)] == [ada.id, bob.id]


async def test_a_sequence_would_lose_a_row_that_commits_late(postgres: Postgres) -> None:
    """What the store does not do, and why: the poller passes over a number that is given out and not committed."""
    async with postgres.database("migrated", migrate) as url:
        name = url.partition("?")[0].rpartition("/")[2]
        first, second, poller = [await postgres.connect(name) for _ in range(3)]
        insert = "INSERT INTO revocation (at, kind, subject) VALUES (1, 'grant', $1)"
        await first.execute("BEGIN")
        await first.execute(insert, "first")
        await second.execute(insert, "second")
        (row,) = await poller.fetch("SELECT id FROM revocation WHERE id > 0")
        await first.execute("COMMIT")
        assert await poller.fetch("SELECT id FROM revocation WHERE id > $1", row["id"]) == []
        assert await poller.fetchval("SELECT count(*) FROM revocation") == 2
        for connection in (first, second, poller):
            await connection.close()
