"""Conformance: whoever tampers with the audit trail is found out."""

import asyncio

import pytest

from gateway.errors import DependencyFailed, RequestRejected
from gateway.store.audit_pages import AuditPages
from gateway.store.audit_read import Trail
from gateway.store.seal import Sealer

from .trail import FORGED, Book, literal

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
    said = ", ".join(f"{name} = {literal(value, book.world.url)}" for name, value in older.items())
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
