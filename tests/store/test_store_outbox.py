"""The outbox: nobody sends a mail twice, and nothing of it is left when it has gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from gateway.clock import Clock
from gateway.identity.letters import Letter
from gateway.store.engines import engine_of
from gateway.store.outbox import Outbox, Taken, post
from gateway.store.seal import Sealer

from .world import MASTER_KEY, Hand, change, rows, stored

LINK = "https://gateway.example/login#s3cret-token"
LETTER = Letter("magic_link", "ada@example.org", {"link": LINK, "minutes": "15"})
DECOY = Letter("magic_link", "nobody-at-all@example.org", {"link": f"{LINK}x", "minutes": "15"}, decoy=True)
LEASE = 120.0


class Office:
    """An open outbox, and the same once more as another worker has it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.hand = Hand()
        self.clock = Clock(now=self.hand.now)
        self.sealer = Sealer(MASTER_KEY, self.clock.token_bytes)
        self.databases = [engine_of(url).database() for _ in range(2)]
        self.outbox, self.other = (Outbox(database, self.sealer, self.clock) for database in self.databases)
        self.reader = engine_of(url).reader()

    async def post(self, *letters: Letter) -> None:
        async with self.databases[0].writing() as connection:
            for letter in letters:
                await post(connection, self.sealer, self.clock, letter)

    async def take(self) -> Taken:
        (taken,) = await self.outbox.take(8, LEASE)
        return taken

    async def due(self) -> bool:
        return bool((await self.reader.rows(engine_of(self.url).statements.due, (self.hand.at,)))[0][0])

    async def rows(self, columns: str) -> Sequence[Any]:
        return await rows(self.url, f"SELECT {columns} FROM outbox ORDER BY created_at, id")


@pytest.fixture
async def office(url: str) -> AsyncIterator[Office]:
    found = Office(url)
    yield found
    await found.reader.aclose()
    for database in found.databases:
        await database.aclose()


async def test_a_letter_comes_out_as_it_went_in(office: Office) -> None:
    """Sealed in between."""
    await office.post(LETTER)
    taken = await office.take()
    assert (taken.letter, taken.template, taken.created_at, taken.tries) == (LETTER, "magic_link", office.hand.at, 1)


async def test_two_workers_never_get_the_same_mail(office: Office) -> None:
    """At the same moment, over two connections."""
    await office.post(*[LETTER] * 20)
    shares = await asyncio.gather(*(worker.take(3, LEASE) for worker in [office.outbox, office.other] * 4))
    ids = [taken.id for share in shares for taken in share]
    assert (len(ids), len(set(ids))) == (20, 20)


@pytest.mark.parametrize(("later", "found"), [(LEASE - 0.001, 0), (LEASE, 1)])
async def test_a_lease_that_ended_is_another_workers(office: Office, later: float, found: int) -> None:
    """Both sides of it: the first worker may have died."""
    await office.post(LETTER)
    await office.take()
    office.hand.at += later
    assert (await office.due(), len(await office.other.take(8, LEASE))) == (bool(found), found)


async def test_a_worker_whose_lease_ended_has_no_say(office: Office) -> None:
    """The mail is in other hands."""
    await office.post(LETTER)
    first = await office.take()
    office.hand.at += LEASE
    await office.other.take(8, LEASE)
    await office.outbox.give_up(first.id, first.tries, "late")
    await office.outbox.retry(first.id, first.tries, office.hand.at, "late")
    assert await office.rows("failed_at, due_at, reason") == [(None, office.hand.at + LEASE, None)]


async def test_what_a_mail_said_is_gone_when_it_was_sent(office: Office) -> None:
    """The row stays, for the operator."""
    await office.post(LETTER)
    await office.outbox.sent((await office.take()).id)
    assert await office.rows("payload_enc, sent_at, reason") == [(None, office.hand.at, None)]


async def test_what_a_mail_said_is_gone_when_it_was_given_up(office: Office) -> None:
    """With the reason in its place."""
    await office.post(LETTER)
    taken = await office.take()
    await office.outbox.give_up(taken.id, taken.tries, "refused")
    assert await office.rows("payload_enc, failed_at, reason") == [(None, office.hand.at, "refused")]


@pytest.mark.parametrize("end", ["sent", "give_up"])
async def test_a_mail_that_has_ended_is_not_taken_again(office: Office, end: str) -> None:
    """However late it gets."""
    await office.post(LETTER)
    taken = await office.take()
    await (office.outbox.sent(taken.id) if end == "sent" else office.outbox.give_up(taken.id, taken.tries, "refused"))
    office.hand.at += 1e6
    assert (await office.due(), await office.outbox.take(8, LEASE)) == (False, [])


@pytest.mark.parametrize(("later", "found"), [(4.999, False), (5.0, True)])
async def test_a_mail_is_tried_again_when_it_was_said(office: Office, later: float, found: bool) -> None:
    """Both sides of the moment."""
    await office.post(LETTER)
    taken = await office.take()
    await office.outbox.retry(taken.id, taken.tries, office.hand.at + 5, "down")
    office.hand.at += later
    assert (await office.due(), [again.tries for again in await office.outbox.take(8, LEASE)]) == (found, [2] * found)


async def test_nothing_of_a_mail_is_readable_in_the_database(office: Office) -> None:
    """Neither whom it goes to nor what it says, in the file or the log beside it."""
    await office.post(LETTER, DECOY)
    text = await stored(office.url)
    assert [word for word in (b"magic_link", b"ada@example", b"s3cret", b"nobody-at") if word in text] == [
        b"magic_link"
    ]


async def test_a_decoy_is_never_taken(office: Office) -> None:
    """There is nobody to send it to."""
    await office.post(DECOY)
    office.hand.at += 1e6
    assert (await office.due(), await office.outbox.take(8, LEASE)) == (False, [])


async def test_a_decoy_is_as_large_as_a_mail(office: Office) -> None:
    """Whoever sees the file grow cannot tell them apart."""
    await office.post(LETTER, DECOY)
    sizes = await office.rows("length(payload_enc)")
    assert (len(sizes), len(set(sizes))) == (2, 1)


@pytest.mark.parametrize(
    "damage",
    [
        "payload_enc = CAST('\x01' || 'this is sealed by nobody, and long enough to look it' AS {bytes})",
        "payload_enc = CAST('\x02' AS {bytes})",
        "payload_enc = NULL",
        "template = 'of_a_newer_version'",
    ],
)
async def test_a_mail_that_cannot_be_read_is_taken_without_a_letter(office: Office, damage: str) -> None:
    """So that it can be given up, and the rest goes on."""
    await office.post(LETTER)
    kind = "BLOB" if office.url.startswith("sqlite") else "bytea"
    await change(office.url, f"UPDATE outbox SET {damage.format(bytes=kind)}")
    assert (await office.take()).letter is None


@pytest.mark.parametrize(("before", "left"), [(0.0, 3), (0.001, 1)])
async def test_old_rows_go_unless_they_wait(office: Office, before: float, left: int) -> None:
    """Both sides of the bound: a mail that was sent, a decoy, and one that waits."""
    await office.post(LETTER)
    await office.outbox.sent((await office.take()).id)
    await office.post(LETTER, DECOY)
    await office.outbox.prune(office.hand.at + before)
    assert len(await office.rows("id")) == left


async def test_a_letter_of_a_transaction_that_failed_is_not_sent(office: Office) -> None:
    """It stands and falls with what caused it."""
    async with office.databases[0].writing() as connection:
        await post(connection, office.sealer, office.clock, LETTER)
        await connection.rollback()
    assert not await office.due()
