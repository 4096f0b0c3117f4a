"""Conformance: the audit trail is written with the change it tells of, sealed into one chain, and kept for a time."""

import asyncio

import pytest

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.audit import Event, Scope, acting
from gateway.store.audit_seal import BATCH
from gateway.store.notes import noted
from gateway.store.sql import Store

from .trail import PLAIN, Book, literal
from .world import World, change

# the rows and their change


async def test_a_row_says_who_did_what_from_where(world: World) -> None:
    """Of the one who acts when it is written."""
    by = Scope("account:x", "g", "mployr", "192.0.2.7", "curl/8", "r1")
    with acting(by):
        await Book(world).write(1, Event("bot_configured", "a", "t", reason="why", detail={"b": 1, "a": None}))
    said = (await Book(world).rows())[-1].entry
    assert (said.kind, said.outcome, said.reason, said.account_id, said.subject) == (
        "bot_configured", "done", "why", "a", "t",
    )  # fmt: skip
    assert (said.actor, said.credential, said.dialect, said.ip, said.agent, said.request_id) == (
        "account:x", "g", "mployr", "192.0.2.7", "curl/8", "r1",
    )  # fmt: skip
    assert (said.detail, said.at) == ('{"a":null,"b":1}', world.hand.at)


async def test_a_change_that_fails_leaves_no_row(world: World) -> None:
    """It goes with the transaction."""
    before = len(await Book(world).rows())

    async def fail() -> None:
        async with world.store.changes().database.writing() as connection:
            noted(connection, PLAIN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert len(await Book(world).rows()) == before


async def test_a_row_that_cannot_be_written_undoes_its_change(world: World) -> None:
    """No change without its row."""
    await change(world.url, "ALTER TABLE audit_event RENAME TO gone")
    with pytest.raises(DependencyFailed):
        await world.ada()
    await change(world.url, "ALTER TABLE gone RENAME TO audit_event")
    assert await world.accounts.accounts() == []


async def test_a_change_that_was_refused_leaves_no_row(world: World) -> None:
    """The address is taken."""
    await world.ada()
    before = await Book(world).kinds()
    with pytest.raises(RequestRejected, match="taken"):
        await world.ada()
    assert await Book(world).kinds() == before


async def test_a_change_that_changed_nothing_leaves_no_row(world: World) -> None:
    """An account that is disabled already."""
    account = await world.ada()
    await world.accounts.disable(account.id)
    before = await Book(world).kinds()
    await world.accounts.disable(account.id)
    assert await Book(world).kinds() == before


async def test_a_row_is_bounded(world: World) -> None:
    """Whatever a client calls itself, and however much there is to say."""
    with acting(Scope("a" * 5000, agent="b" * 5000, request_id="c" * 5000, address="d" * 5000, credential="e" * 99)):
        await Book(world).write(
            1, Event("bot_configured", "f" * 99, "g" * 5000, reason="h" * 5000, detail={"i": "j" * 5000})
        )
    said = (await Book(world).rows())[-1].entry
    assert sum(len(str(getattr(said, name))) for name in said.__slots__) < 2048


async def test_a_row_holds_what_no_database_can(world: World) -> None:
    """NUL and half a surrogate pair, which a client may send, are left out."""
    with acting(Scope(agent="a\0b\ud800c")):
        await Book(world).write(1)
    assert (await Book(world).rows())[-1].entry.agent == "abc"


# the chain


async def test_a_trail_that_nobody_touched_is_whole(book: Book) -> None:
    """From its first row to its head."""
    verdict = await book.verify()
    assert (verdict.broken, verdict.rows, verdict.waiting) == (None, len(await book.rows()), 0)
    assert verdict.head is not None
    assert verdict.head.seq == verdict.rows


async def test_rows_are_sealed_in_batches(world: World) -> None:
    """More than one transaction takes."""
    audit = world.store.changes().audit
    await audit.record_all([(PLAIN, Scope())] * (2 * BATCH + 1))
    await Book(world).seal()
    verdict = await Book(world).verify()
    assert (verdict.broken, verdict.waiting) == (None, 0)
    assert verdict.rows > 2 * BATCH


async def test_verifying_seals_what_waits(book: Book) -> None:
    """What was written a moment ago is in the chain too."""
    before = (await book.verify()).rows
    await book.write(1)
    assert (await book.verify()).rows == before + 1


async def test_nodes_that_write_and_seal_at_once_make_one_chain(world: World, gateways: list[Store]) -> None:
    """Every row once, none twice."""

    async def work(store: Store) -> None:
        for _ in range(20):
            await store.changes().audit.record(PLAIN)
            await store.changes().seals.seal()

    before = len(await Book(world).rows())
    await asyncio.gather(*(work(store) for store in gateways))
    verdict = await Book(world).verify()
    assert (verdict.broken, verdict.rows) == (None, before + 60)


# retention


async def test_old_rows_leave_and_the_rest_stays_whole(book: Book) -> None:
    """The beginning is written down, sealed as the end is."""
    book.world.hand.at += 1000
    await book.write(4)
    await book.seal()
    assert await book.world.store.changes().seals.trim(book.world.hand.at) == 10
    verdict = await book.verify()
    assert verdict.start is not None
    assert (verdict.broken, verdict.start.seq, verdict.rows) == (None, 10, 5)
    assert (await book.kinds())[-1] == "trail_trimmed"
    assert (await book.rows())[-1].entry.detail == '{"first":1,"last":10}'


async def test_a_time_that_was_set_back_removes_nothing(book: Book) -> None:
    """Retention would remove the row for whoever has no key, and write down that it did."""
    await book.tamper("UPDATE audit_event SET at = 0 WHERE seq <= 3")
    with pytest.raises(DependencyFailed, match="row 1 is not as it was written"):
        await book.world.store.changes().seals.trim(book.world.hand.at)
    assert await book.fault() == (1, "changed")


async def test_what_is_not_older_stays(book: Book) -> None:
    """To the second."""
    at = book.world.hand.at
    book.world.hand.at += 1
    assert await book.world.store.changes().seals.trim(at) == 0
    assert await book.world.store.changes().seals.trim(at + 0.001) == 10
    assert await book.fault() is None


async def test_a_trim_by_a_clock_that_was_ahead_does_not_void_what_follows(book: Book) -> None:
    """It takes more rows than it should; the ones to come are ours all the same."""
    at = book.world.hand.at
    book.world.hand.at += 10 * 365 * 86400
    await book.world.store.changes().seals.trim(book.world.hand.at)
    book.world.hand.at = at + 1
    await book.write(2)
    assert await book.fault() is None


async def test_a_trail_that_was_trimmed_whole_goes_on(book: Book) -> None:
    """From the link of the last row that is gone."""
    book.world.hand.at += 1000
    await book.world.store.changes().seals.trim(book.world.hand.at)
    await book.write(2)
    verdict = await book.verify()
    assert (verdict.broken, verdict.rows) == (None, 3)


async def test_rows_that_retention_removed_cannot_be_put_back(book: Book) -> None:
    """Each has a tag of ours, and is no news."""
    removed = await book.world.rows("SELECT * FROM audit_event WHERE seq = 5")
    book.world.hand.at += 1000
    await book.write(1)
    await book.seal()
    await book.world.store.changes().seals.trim(book.world.hand.at)
    before = (await book.verify()).rows
    row = [None, removed[0][1], None, *removed[0][3:17], None]
    words = ", ".join(literal(value, book.world.url) for value in row[1:])
    columns = (
        "uid, seq, at, kind, outcome, reason, actor, credential, account_id, subject, dialect, ip, agent, request_id,"
        " detail, tag, mac"
    )
    await book.tamper(f"INSERT INTO audit_event ({columns}) VALUES ({words})")
    verdict = await book.verify()
    assert verdict.broken is not None
    assert (verdict.broken.what, verdict.rows) == ("forged", before)


async def test_a_head_that_retention_removed_is_no_fault(book: Book) -> None:
    """It was right once; nobody can tell any more."""
    kept = await book.place()
    book.world.hand.at += 1000
    await book.write(1)
    await book.world.store.changes().seals.trim(book.world.hand.at)
    assert await book.fault((3, "00" * 32)) is None
    assert await book.fault(kept) is None
    assert await book.fault((kept[0], "00" * 32)) == (kept[0], "other_head")
