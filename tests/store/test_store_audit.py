"""Conformance: the audit trail is written with the change it tells of, sealed into one chain, and whoever tampers with
it is found out."""

import asyncio

import pytest

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.audit import Event, Scope, acting
from gateway.store.audit_pages import AuditPages
from gateway.store.audit_read import Trail
from gateway.store.audit_seal import BATCH
from gateway.store.notes import noted
from gateway.store.seal import Sealer
from gateway.store.sql import Store

from .trail import PLAIN, Book
from .world import World, change


@pytest.fixture
async def book(world: World) -> Book:
    """Ten sealed rows, of which the fresh world wrote three."""
    found = Book(world)
    await found.write(7)
    await found.seal()
    return found


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


CONTENT = (
    "at = at + 1", "kind = 'x'", "outcome = 'x'", "reason = 'x'", "actor = 'cli:x'", "credential = 'x'",
    "account_id = 'x'", "subject = 'x'", "dialect = 'x'", "ip = 'x'", "agent = 'x'", "request_id = 'x'",
    "detail = '[]'", "uid = 'x'",
)  # fmt: skip


@pytest.mark.parametrize("what", CONTENT)
async def test_a_changed_field_is_found(book: Book, what: str) -> None:
    """Each one that a row has."""
    await book.tamper(f"UPDATE audit_event SET {what} WHERE seq = 5")
    assert await book.fault() == (5, "changed")


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["DELETE FROM audit_event WHERE seq = 5"], (5, "missing")),
        (["DELETE FROM audit_event WHERE seq = 1"], (1, "missing")),
        (["DELETE FROM audit_event WHERE seq <= 4"], (1, "missing")),
        (["DELETE FROM audit_event WHERE seq = 10"], (10, "truncated")),
        (["DELETE FROM audit_event WHERE seq >= 8"], (8, "truncated")),
        (["DELETE FROM audit_event"], (1, "truncated")),
        (["DELETE FROM audit_event WHERE seq = 5", "UPDATE audit_event SET seq = 5 WHERE seq = 6"], (5, "moved")),
        (
            [
                "UPDATE audit_event SET seq = 99 WHERE seq = 5",
                "UPDATE audit_event SET seq = 5 WHERE seq = 6",
                "UPDATE audit_event SET seq = 6 WHERE seq = 99",
            ],
            (5, "moved"),
        ),
        (["UPDATE audit_event SET mac = tag WHERE seq = 5"], (5, "moved")),
        (["UPDATE audit_event SET id = -id WHERE seq = 5"], (5, "moved")),
        (["UPDATE audit_event SET id = id + 1000 WHERE seq = 5"], (5, "moved")),
        (["UPDATE audit_event SET tag = mac WHERE seq = 5"], (5, "forged")),
        (["UPDATE audit_event SET tag = mac, kind = 'x' WHERE seq = 10"], (10, "forged")),
        (["DELETE FROM audit_anchor WHERE name = 'head'"], (11, "truncated")),
        (["DELETE FROM audit_anchor WHERE name = 'start'"], (1, "truncated")),
        (["DELETE FROM audit_anchor", "DELETE FROM audit_event WHERE seq > 4"], (1, "truncated")),
        (
            ["UPDATE audit_anchor SET seq = 9 WHERE name = 'head'", "DELETE FROM audit_event WHERE seq = 10"],
            (10, "forged"),
        ),
        (
            ["UPDATE audit_anchor SET seq = 4 WHERE name = 'start'", "DELETE FROM audit_event WHERE seq < 5"],
            (1, "forged"),
        ),
    ],
)
async def test_tampering_is_found_and_told_apart(book: Book, statements: list[str], found: tuple[int, str]) -> None:
    """With the first row that is not as it must be."""
    await book.tamper(*statements)
    assert await book.fault() == found


FORGED = (
    "INSERT INTO audit_event (uid, seq, at, kind, outcome, reason, actor, credential, account_id, subject, dialect, ip,"
    " agent, request_id, detail, tag, mac) SELECT 'forged', {seq}, at, kind, outcome, reason, actor, credential,"
    " account_id, subject, dialect, ip, agent, request_id, detail, tag, mac FROM audit_event WHERE seq = 5"
)


async def test_a_forged_row_at_the_end_is_found(book: Book) -> None:
    """It has no tag of ours, even as the copy of a row that has."""
    await book.tamper(FORGED.format(seq=11))
    assert await book.fault() == (11, "forged")


async def test_a_forged_row_is_not_sealed(book: Book) -> None:
    """It is set aside, whole, and what comes after it goes on."""
    await book.tamper(FORGED.format(seq="NULL"))
    await book.write(1)
    verdict = await book.verify()
    assert verdict.broken is not None
    assert (verdict.broken.what, verdict.rows, verdict.waiting) == ("forged", 11, 0)
    assert verdict.broken.seq < 0


async def test_a_waiting_row_cannot_be_changed(book: Book) -> None:
    """Its tag is of its content from the beginning."""
    await book.write(1)
    await book.tamper("UPDATE audit_event SET actor = 'cli:x' WHERE seq IS NULL")
    fault = await book.fault()
    assert fault is not None
    assert fault[1] == "forged"


async def test_sealing_does_not_cover_up_a_cut(book: Book) -> None:
    """The head remembers what is gone."""
    await book.tamper("DELETE FROM audit_event WHERE seq = 10")
    await book.write(3)
    await book.seal()
    assert await book.fault() == (10, "missing")


async def test_sealing_does_not_go_on_from_a_broken_anchor(book: Book) -> None:
    """It would be the beginning of another trail."""
    await book.tamper("DELETE FROM audit_anchor")
    await book.write(1)
    with pytest.raises(DependencyFailed, match="audit verify"):
        await book.seal()
    assert (await book.verify()).waiting == 1


UNSEALED = "UPDATE audit_event SET seq = NULL, mac = NULL"


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM audit_event WHERE seq = 6", UNSEALED],
        ["DELETE FROM audit_event WHERE seq = 6", "UPDATE audit_event SET id = 1000 - id", UNSEALED],
        ["DELETE FROM audit_event"],
    ],
)
async def test_a_trail_without_anchors_is_not_begun_anew(book: Book, statements: list[str]) -> None:
    """What is left would be sealed as if it were all, without a key."""
    await book.tamper(*statements, "DELETE FROM audit_anchor")
    await book.write(1)
    with pytest.raises(DependencyFailed, match="audit verify"):
        await book.seal()
    assert await book.fault() == (1, "truncated")
    assert await book.world.rows("SELECT * FROM audit_anchor") == []


async def test_new_keys_begin_no_new_trail(book: Book) -> None:
    """Whoever removes the keys too, so that the next migration makes some: there are people, so there were keys."""
    await book.world.ada()
    await book.tamper(
        "DELETE FROM audit_event", "DELETE FROM audit_anchor", "DELETE FROM mac_key", "DELETE FROM signing_key"
    )
    assert await book.world.keys.ensure("EdDSA")
    assert await book.fault() == (1, "truncated")


async def test_another_mac_key_leaves_the_trail_as_it_is(book: Book) -> None:
    """It begins with the first one alone."""
    await book.tamper("DELETE FROM audit_event", "DELETE FROM audit_anchor")
    await book.world.keys.rotate_mac()
    assert await book.fault() == (1, "truncated")


async def test_a_row_without_a_number_that_can_be_is_set_aside(book: Book) -> None:
    """The others are sealed, and the trail is not whole."""
    await book.tamper(FORGED.replace("(uid", "(id, uid").replace("SELECT", "SELECT -1,").format(seq="NULL"))
    await book.write(2)
    verdict = await book.verify()
    assert verdict.broken is not None
    assert (verdict.broken.what, verdict.rows, verdict.waiting) == ("forged", 12, 0)


async def test_a_row_in_the_place_of_the_next_one_is_set_aside(book: Book) -> None:
    """It keeps nobody from it."""
    await book.tamper(FORGED.format(seq=11))
    await book.write(2)
    verdict = await book.verify()
    assert verdict.broken is not None
    assert (verdict.broken.what, verdict.rows, verdict.waiting) == ("forged", 12, 0)


async def test_a_waiting_row_whose_id_is_hidden_is_set_aside(book: Book) -> None:
    """Else it would be sealed out of its order."""
    await book.write(1)
    await book.tamper("UPDATE audit_event SET id = -id WHERE seq IS NULL")
    fault = await book.fault()
    assert fault is not None
    assert fault[1] == "forged"


async def test_text_that_is_none_is_set_aside(book: Book) -> None:
    """The rows beside it are read, sealed and listed."""
    if not book.world.url.startswith("sqlite"):
        pytest.skip("PostgreSQL refuses it")
    await book.tamper(FORGED.format(seq="NULL"), "UPDATE audit_event SET actor = CAST(x'ff' AS TEXT) WHERE seq IS NULL")
    await book.write(1)
    verdict = await book.verify()
    assert verdict.broken is not None
    assert (verdict.broken.what, verdict.rows, verdict.waiting) == ("forged", 11, 0)
    assert len(await book.rows()) == 12
    assert len((await book.world.store.changes().audit_pages.page(50, None)).items) == 12


STOPS = {
    "sqlite": ("CREATE TRIGGER stop BEFORE UPDATE ON audit_event BEGIN SELECT RAISE(ABORT, 'no'); END",),
    "postgresql": (
        "CREATE FUNCTION stop() RETURNS trigger AS $$ BEGIN RAISE unique_violation; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER stop BEFORE UPDATE ON audit_event FOR EACH ROW EXECUTE FUNCTION stop()",
    ),
}


async def test_a_trail_whose_rows_cannot_be_sealed_is_not_whole(book: Book) -> None:
    """Whatever keeps them from it; what is sealed is right."""
    await book.tamper(*STOPS[book.world.url.partition(":")[0].partition("+")[0]])
    assert await book.fault() is None
    await book.write(2)
    verdict = await book.verify()
    assert verdict.broken is not None
    assert (verdict.broken.seq, verdict.broken.what, verdict.rows, verdict.waiting) == (11, "unsealed", 10, 2)
    said = await book.world.store.changes().audit_pages.verify()
    assert (said.intact, said.waiting) == (False, 2)


async def test_one_walk_at_a_time_is_made_for_the_api(book: Book) -> None:
    """Eight at once would be the whole trail eight times."""
    pages = book.world.store.changes().audit_pages
    found = await asyncio.gather(*(pages.verify() for _ in range(8)), return_exceptions=True)
    busy = [one for one in found if isinstance(one, RequestRejected)]
    assert [(one.code, one.retry_after) for one in busy] == [("overloaded", 5)] * 7
    assert (await pages.verify()).intact


async def test_a_walk_for_the_api_ends_in_time(book: Book) -> None:
    """And the next one may begin."""
    changes = book.world.store.changes()
    pages = AuditPages(changes.database, changes.trail, 0.0)
    for _ in range(2):
        with pytest.raises(RequestRejected, match="gateway audit verify"):
            await pages.verify()


async def test_another_master_key_finds_no_row_of_its_own(book: Book) -> None:
    """Who has the database alone can make no row, and no chain."""
    changes, clock = book.world.store.changes(), book.world.clock
    other = Trail(changes.database, changes.seals, Sealer(bytes(32), clock.token_bytes), clock)
    verdict = await other.verify()
    assert verdict.broken is not None
    assert (verdict.broken.seq, verdict.broken.what) == (1, "forged")


async def test_a_trail_cut_back_to_an_older_head_is_found_by_a_head_kept_elsewhere(book: Book) -> None:
    """Who restores the old anchor with the old rows leaves a chain that is whole."""
    [(seq, mac, at, tag)] = await book.world.rows("SELECT seq, mac, at, tag FROM audit_anchor WHERE name = 'head'")
    await book.write(5)
    kept = await book.place()
    older = {"seq": seq, "mac": mac, "at": at, "tag": tag}
    said = ", ".join(f"{name} = {_literal(value, book.world.url)}" for name, value in older.items())
    await book.tamper(
        f"DELETE FROM audit_event WHERE seq > {seq}", f"UPDATE audit_anchor SET {said} WHERE name = 'head'"
    )
    assert await book.fault() is None
    assert await book.fault(kept) == (seq + 1, "other_head")
    await book.write(9)
    assert await book.fault(kept) == (kept[0], "other_head")


async def test_a_head_kept_elsewhere_is_met_by_a_trail_that_went_on(book: Book) -> None:
    """It was the end, and is a row like others."""
    kept = await book.place()
    await book.write(3)
    assert await book.fault(kept) is None


async def test_only_what_came_after_a_place_is_walked(book: Book) -> None:
    """And what was changed before is not looked at."""
    kept = await book.place()
    await book.write(3)
    await book.tamper("UPDATE audit_event SET kind = 'x' WHERE seq = 2")
    assert await book.fault() == (2, "changed")
    assert await book.fault(since=kept) is None
    assert (await book.verify(since=kept)).rows == 3


async def test_a_place_that_the_trail_never_had_is_found(book: Book) -> None:
    """The next row does not follow from it."""
    seq, _ = await book.place()
    await book.write(1)
    assert await book.fault(since=(seq, "00" * 32)) == (seq + 1, "moved")


@pytest.mark.parametrize("junk", ["at = 'soon'", "detail = x'00ff'", "tag = 'text'", "mac = 7", "seq = '5x'"])
async def test_what_only_sqlite_can_hold_is_found_too(book: Book, junk: str) -> None:
    """Its columns take any type; the walk does not fall over one."""
    if not book.world.url.startswith("sqlite"):
        pytest.skip("PostgreSQL refuses it")
    await book.tamper(f"UPDATE audit_event SET {junk} WHERE seq = 5")
    fault = await book.fault()
    assert fault is not None
    assert fault[0] == 5
    assert len(await book.rows()) == 10


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
    words = ", ".join(_literal(value, book.world.url) for value in row[1:])
    columns = (
        "uid, seq, at, kind, outcome, reason, actor, credential, account_id, subject, dialect, ip, agent, request_id,"
        " detail, tag, mac"
    )
    await book.tamper(f"INSERT INTO audit_event ({columns}) VALUES ({words})")
    verdict = await book.verify()
    assert verdict.broken is not None
    assert (verdict.broken.what, verdict.rows) == ("forged", before)


def _literal(value: object, url: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'" if url.startswith("sqlite") else f"'\\x{value.hex()}'::bytea"
    return repr(value) if isinstance(value, int | float) else f"'{value}'".replace(":", "\\:")


async def test_a_head_that_retention_removed_is_no_fault(book: Book) -> None:
    """It was right once; nobody can tell any more."""
    kept = await book.place()
    book.world.hand.at += 1000
    await book.write(1)
    await book.world.store.changes().seals.trim(book.world.hand.at)
    assert await book.fault((3, "00" * 32)) is None
    assert await book.fault(kept) is None
    assert await book.fault((kept[0], "00" * 32)) == (kept[0], "other_head")
