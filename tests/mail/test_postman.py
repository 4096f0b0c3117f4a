"""The worker: what it sends, when it tries again, and that nothing stops it."""

import asyncio
import json
from email.message import EmailMessage

import pytest

from gateway.errors import DependencyFailed
from gateway.identity.letters import Letter
from gateway.mail.delivery import Undelivered
from gateway.mail.outbox import GIVE_UP, KEEP, LEASE, PRUNE, delay

from .office import DECOY, LETTER, LINK, TO, Office
from .server import Server


class Refusing:
    """A transport that fails with these, in turn, and then works. sent: what it was given."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.sent: list[EmailMessage] = []

    async def send(self, message: EmailMessage) -> None:
        self.sent.append(message)
        if self.failures:
            raise self.failures.pop(0)


class Stuck(Refusing):
    """One that does not come back until it is free. full: set once this many are on their way."""

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.expected = expected
        self.full = asyncio.Event()
        self.free = asyncio.Event()

    async def send(self, message: EmailMessage) -> None:
        await super().send(message)
        if len(self.sent) == self.expected:
            self.full.set()
        await self.free.wait()


async def test_a_mail_that_was_posted_arrives(office: Office, server: Server) -> None:
    """Over SMTP, with its link, and nothing of it stays."""
    office.to(server.port)
    await office.post()
    await office.become("sent_at, payload_enc", [(office.at, None)])
    (mail,) = server.mails
    body = mail.get_body(("plain",))
    assert body is not None
    assert (server.recipients, LINK in body.get_content().splitlines()) == ([TO], True)


async def test_a_mail_that_waited_before_the_start_is_sent(office: Office, server: Server) -> None:
    """Nobody woke the worker for it."""
    await office.post()
    office.to(server.port)
    await office.become("sent_at", [(office.at,)])


async def test_a_decoy_reaches_nobody(office: Office) -> None:
    """The letter posted after it goes; it does not."""
    transport = Refusing()
    office.postman(transport)
    await office.post(DECOY)
    office.at += 1
    await office.post()
    await office.become("sent_at", [(office.at - 1,), (office.at,)])
    assert len(transport.sent) == 1


async def test_two_workers_send_each_mail_once(office: Office) -> None:
    """Both are woken for each."""
    one, two = Refusing(), Refusing()
    office.postman(one)
    office.postman(two)
    for _ in range(20):
        await office.post()
    await office.become("sent_at", [(office.at,)] * 20)
    ids = [message["Message-ID"] for message in one.sent + two.sent]
    assert (len(ids), len(set(ids))) == (20, 20)


async def test_a_refusal_for_now_is_tried_again_and_told(office: Office, server: Server) -> None:
    """Then it arrives, and that is told too."""
    server.refusals = ["451 4.7.1 ada@example.org: greylisted"]
    office.to(server.port)
    await office.post()
    told = await office.log.said("a mail was not sent")
    assert (told["again_in"], told["reason"]) == (5, "the recipient was refused: SMTP 451")
    await office.become("due_at", [(office.at + 5,)])
    office.later(5)
    await office.log.said("mails are sent again")
    await office.become("sent_at, tries", [(office.at, 2)])
    assert office.postmen[0].outcomes == {"sent": 1, "failed": 1, "given_up": 0}
    assert office.postmen[0].sending == 0


async def test_a_recipient_that_is_refused_for_good_is_given_up(office: Office, server: Server) -> None:
    """At once."""
    server.refusals = ["550 5.1.1 ada@example.org: no such user"]
    office.to(server.port)
    await office.post()
    assert (await office.log.said("a mail was given up"))["reason"] == "the recipient was refused: SMTP 550"
    await office.become("failed_at, payload_enc, tries", [(office.at, None, 1)])
    assert office.postmen[0].outcomes == {"sent": 0, "failed": 0, "given_up": 1}


async def test_a_server_that_comes_back_gets_what_waited(office: Office, server: Server) -> None:
    """It was down when the mail was posted."""
    server.close()
    office.to(server.port)
    await office.post()
    await office.log.said("a mail was not sent")
    await office.become("due_at", [(office.at + 5,)])
    again = Server(server.port)
    again.start()
    try:
        office.later(5)
        await office.become("sent_at", [(office.at,)])
    finally:
        again.close()
    assert len(again.mails) == 1


async def test_no_log_line_says_whom_or_what(office: Office, server: Server) -> None:
    """Neither address, link nor a server's words, which repeat them."""
    server.refusals = [f"451 {TO} {LINK}", f"550 {TO} {LINK}"]
    office.to(server.port)
    await office.post()
    await office.become("due_at", [(office.at + 5,)])
    office.later(5)
    await office.log.said("a mail was given up")
    text = json.dumps(office.log.lines)
    assert [word for word in (TO, "s3cret", "magic_link") if word in text] == ["magic_link"]
    assert TO not in str(await office.rows("reason"))


@pytest.mark.parametrize(
    ("tries", "seconds"), [(1, 5.0), (2, 10.0), (3, 20.0), (10, 2560.0), (11, 3600.0), (10_000, 3600.0)]
)
def test_each_failure_doubles_the_wait(tries: int, seconds: float) -> None:
    """Up to an hour."""
    assert delay(tries) == seconds


async def test_the_last_try_is_a_day_after_the_first(office: Office) -> None:
    """Not a second later, though the back-off would say so."""
    await office.post()
    office.at += GIVE_UP - 1
    office.postman(Refusing(Undelivered("down")))
    await office.become("due_at", [(office.at + 1,)])


@pytest.mark.parametrize(("early", "event"), [(1.0, "a mail was not sent"), (0.0, "a mail was given up")])
async def test_a_day_after_it_was_posted_it_is_given_up(office: Office, early: float, event: str) -> None:
    """Both sides of it."""
    await office.post()
    office.at += GIVE_UP - early
    office.postman(Refusing(Undelivered("down")))
    assert (await office.log.said(event))["reason"] == "down"


async def test_a_mail_that_cannot_be_read_is_given_up(office: Office) -> None:
    """The next one goes."""
    office.postman(Refusing())
    right, office.sealer = office.sealer, type(office.sealer)(bytes([1]) * 32, office.clock.token_bytes)
    await office.post()
    await office.log.said("a mail was given up")
    office.sealer = right
    await office.post()
    await office.become("sent_at IS NULL, failed_at IS NULL", [(1, 0), (0, 1)])


async def test_a_mail_that_cannot_be_written_is_given_up(office: Office) -> None:
    """Its template wants a value that it lacks."""
    transport = Refusing()
    office.postman(transport)
    await office.post(Letter("magic_link", TO, {}))
    assert (await office.log.said("a mail was given up"))["reason"] == "it cannot be written: TemplateBroken"
    assert transport.sent == []


async def test_what_no_transport_should_raise_is_tried_again(office: Office) -> None:
    """And the error's words are not told: they may hold anything."""
    office.postman(Refusing(RuntimeError(TO)))
    await office.post()
    assert (await office.log.said("a mail was not sent"))["reason"] == "RuntimeError"
    await office.become("due_at", [(office.at + 5,)])
    office.later(5)
    await office.become("sent_at", [(office.at,)])


async def test_an_outbox_that_fails_stops_nothing_and_is_told_once(office: Office) -> None:
    """When it works again, what waited goes."""
    office.failures = [DependencyFailed("store_unavailable", "locked")] * 3
    office.postman(Refusing())
    await office.post()
    async with asyncio.timeout(10):
        while office.failures:
            office.later(0)
            await asyncio.sleep(0)
    office.later(0)
    await office.become("sent_at", [(office.at,)])
    await office.log.said("the outbox can be used again")
    assert [event for event, _ in office.log.lines].count("the outbox cannot be used") == 1


async def test_eight_are_on_their_way_at_once(office: Office) -> None:
    """The ninth waits in the outbox, where another worker may take it."""
    for _ in range(9):
        await office.post()
    transport = Stuck(8)
    office.postman(transport)
    await transport.full.wait()
    office.later(0)
    assert sorted(await office.rows("tries")) == [(0,)] + [(1,)] * 8


async def test_a_worker_that_stops_leaves_what_it_could_not_send(office: Office) -> None:
    """Until its lease ends."""
    transport = Stuck(1)
    postman = office.postman(transport)
    await office.post()
    await transport.full.wait()
    await postman.aclose(grace=0.01)
    assert await office.rows("sent_at, failed_at, due_at") == [(None, None, office.at + LEASE)]


async def test_a_worker_that_stops_finishes_what_it_sends(office: Office) -> None:
    """And says so in the store."""
    transport = Stuck(1)
    postman = office.postman(transport)
    await office.post()
    await transport.full.wait()
    closing = asyncio.create_task(postman.aclose())
    transport.free.set()
    await closing
    assert await office.rows("sent_at") == [(office.at,)]


async def test_rows_go_after_a_week(office: Office) -> None:
    """With the next mail that is posted, and no more than one look an hour."""
    office.postman(Refusing())
    await office.post()
    await office.become("sent_at", [(office.at,)])
    office.at += KEEP + PRUNE
    await office.post()
    await office.become("created_at, sent_at", [(office.at, office.at)])


def test_a_letter_says_nothing_of_itself() -> None:
    """In a traceback or a log."""
    assert LINK not in repr(LETTER)
