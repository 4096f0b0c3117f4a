"""Conformance: lists of the audit trail, and who may change its rows."""

import re
from pathlib import Path

from gateway.identity.audit import Event, Scope
from gateway.store.audit_read import Wanted

from .trail import PLAIN, Book
from .world import World


async def test_a_list_has_the_newest_last(book: Book) -> None:
    """And as many of them as are asked for."""
    rows = await book.rows()
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    assert await book.rows(Wanted(limit=3)) == rows[-3:]
    assert await book.rows(Wanted(limit=100)) == rows


async def test_a_list_shows_what_has_no_right_id(book: Book) -> None:
    """Whoever writes the database hides nothing from it so."""
    await book.tamper("UPDATE audit_event SET id = -id WHERE kind = 'cache_purged'")
    assert len(await book.rows()) == len(await book.rows(Wanted(limit=100))) == 10
    assert len((await book.world.store.changes().audit_pages.page(50, None)).items) == 10


async def test_a_list_goes_back_by_pages(book: Book) -> None:
    """Each ends before the one that is known."""
    rows = await book.rows()
    assert await book.rows(Wanted(before=rows[7].id, limit=4)) == rows[3:7]


async def test_a_list_is_read_in_pages(world: World) -> None:
    """More rows than one statement reads come once each."""
    await world.store.changes().audit.record_all([(PLAIN, Scope())] * 1203)
    ids = [row.id for row in await Book(world).rows(Wanted(kind="cache_purged"))]
    assert len(set(ids)) == len(ids) == 1203


async def test_a_list_is_of_an_account_that_acts_or_is_concerned(world: World) -> None:
    """Both are its history."""
    book = Book(world)
    await book.write(1, Event("bot_configured", actor="account:a"))
    await book.write(1, Event("account_disabled", "a"))
    await book.write(1, Event("account_disabled", "b", actor="account:c"))
    assert [row.entry.kind for row in await book.rows(Wanted(account="a"))] == ["bot_configured", "account_disabled"]


async def test_a_list_is_of_a_kind_and_of_a_time(world: World) -> None:
    """The first moment is in it, the last is not."""
    book, at = Book(world), world.hand.at
    for _ in range(3):
        world.hand.at += 10
        await book.write(1)
    await book.write(1, Event("bot_configured"))
    found = await book.rows(Wanted(kind="cache_purged", since=at + 10, until=at + 30))
    assert [row.entry.at for row in found] == [at + 10, at + 20]


async def test_a_list_shows_what_is_not_sealed_yet(book: Book) -> None:
    """At three in the morning nobody waits for a seal."""
    await book.write(1)
    assert (await book.rows())[-1].seq is None


async def test_a_start_knows_whether_rows_wait(book: Book) -> None:
    """Asked twice a second, without the part of the store that writes."""
    assert not await book.world.store.audit_waits()
    await book.write(1)
    assert await book.world.store.audit_waits()


def test_no_statement_of_the_gateway_changes_a_row_but_to_seal_it() -> None:
    """`seq` and `mac` are all that an UPDATE sets, and retention alone deletes."""
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "gateway").rglob("*.py"))
    assert len(re.findall(r"update\(audit_event\)", source)) == 1
    assert len(re.findall(r"delete\(audit_event\)", source)) == 1
