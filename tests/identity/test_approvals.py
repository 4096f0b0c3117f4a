"""Approvals over a real store: which step of which order ends in a session."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from login.linking import Heard
from sqlalchemy import select
from store.world import MASTER_KEY, Hand

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.addresses import address
from gateway.identity.approvals import APPROVAL_SECONDS, Approvals, Started, require_platform, unlinked
from gateway.identity.factors import Factors
from gateway.identity.grants import Grants
from gateway.identity.letters import Letter
from gateway.identity.logins import Logins
from gateway.identity.model import Account
from gateway.identity.new_emails import NewEmails
from gateway.identity.notices import minute
from gateway.identity.origin import Origin
from gateway.identity.passwords import Passwords
from gateway.identity.services import Services
from gateway.identity.sessions import Sessions, Terms
from gateway.identity.steps import Steps
from gateway.identity.throttle import Throttle
from gateway.login.navak import FORM
from gateway.store.schema import migrate
from gateway.store.sql import Store, open_store
from gateway.store.tables import challenge, outbox

DESK, PHONE = Origin("192.0.2.1", "curl/8.5.0"), Origin("198.51.100.7", "Mozilla/5.0 (iPhone) Safari/604")


@dataclass
class Ticking(Hand):
    """Both clocks at once."""

    def clock(self, made: list[bytes]) -> Clock:
        def token_bytes(count: int) -> bytes:
            made.append(Clock().token_bytes(count))
            return made[-1]

        return Clock(now=self.now, monotonic=self.now, token_bytes=token_bytes)


@dataclass
class Office:
    """made: all random bytes, in order."""

    store: Store
    hand: Ticking
    made: list[bytes]
    emails: NewEmails
    approvals: Approvals
    ada: Account

    async def begin(self, username: str = "ada", email: str = "ada@example.org") -> tuple[Started, str]:
        """And the link's token, found among what was made."""
        self.made.clear()
        started = await self.approvals.begin(username, email, "cURL", DESK)
        return started, self.link()

    def link(self) -> str:
        """The first that was made."""
        return next(_text(raw) for raw in self.made if len(raw) == 32)

    async def claim(self, started: Started) -> str:
        self.hand.at += 1
        return (await self.approvals.claim(started.auth_id, DESK)).secret

    async def refused(self, started: Started) -> str:
        try:
            await self.claim(started)
        except RequestRejected as fault:
            return fault.code
        raise AssertionError("claimed")

    async def letters(self) -> list[Letter]:
        """Everything that waits to be sent, which is then gone."""
        box, found = self.store.changes().outbox, []
        for taken in await box.take(100, 1):
            await box.sent(taken.id)
            assert taken.letter is not None
            found.append(taken.letter)
        return found

    async def column(self, name: str) -> list[object]:
        """Of all challenges, oldest first."""
        statement = select(challenge.c[name]).order_by(challenge.c.created_at, challenge.c.id)
        async with self.store.changes().database.reading() as connection:
            return list((await connection.execute(statement)).scalars())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    url = f"sqlite:///{tmp_path}/gateway.db"
    await migrate(url)
    hand, made = Ticking(), list[bytes]()
    clock = hand.clock(made)
    store = await open_store(url, MASTER_KEY, clock)
    await store.open_changes()
    ada = await Accounts(store.accounts, store.tenants, store.roles, clock).create_account(
        NewAccount("ada@example.org", username="ada")
    )
    core = services(store, clock)
    page = "https://gateway.example/auth/confirm/"
    emails = NewEmails(core, "navak", page)
    yield Office(store, hand, made, emails, Approvals(core, emails, FORM, page), ada)
    await store.aclose()


def services(store: Store, clock: Clock) -> Services:
    changes, heard, throttle, passwords = store.changes(), Heard(), Throttle(clock), Passwords(1)
    people, challenges = changes.accounts, changes.challenges
    factors = Factors(changes.factors, throttle, store.pepper, heard, clock, "Gateway")
    sessions = Sessions(changes.grants, store.keys, Terms("https://g.example", "https://g.example"), heard, clock)
    steps = Steps(challenges, people, factors, passwords, throttle, heard, clock)
    grants, nobody = Grants(changes.grants, store.keys, clock), cast(Logins, None)
    return Services(
        "https://gateway.example", nobody, steps, factors, sessions, grants, passwords, throttle, people, challenges,
        heard, store.pepper, clock,
    )  # fmt: skip


async def test_an_approved_login_is_claimed_once(office: Office) -> None:
    """With 256 random bytes, as base64url with its padding."""
    started, link = await office.begin()
    assert await office.refused(started) == "code_wrong"
    assert await office.approvals.approve(link, "", PHONE) == "approved"
    assert len(await office.claim(started)) == 344
    assert await office.refused(started) == "code_wrong"


async def test_states_follow_the_steps(office: Office) -> None:
    """Opening the link is none of them."""
    started, link = await office.begin()
    await office.approvals.view(link, PHONE)
    seen = await office.column("state")
    await office.approvals.approve(link, "", PHONE)
    seen += await office.column("state")
    await office.claim(started)
    assert seen + await office.column("state") == ["open", "approved", "claimed"]


async def test_a_denied_login_cannot_be_approved(office: Office) -> None:
    """Nor claimed."""
    started, link = await office.begin()
    assert await office.approvals.deny(link) == "denied"
    assert (await office.approvals.approve(link, "", PHONE), await office.refused(started)) == ("gone", "code_wrong")


async def test_an_approved_login_cannot_be_denied(office: Office) -> None:
    """It may be claimed by then."""
    _, link = await office.begin()
    await office.approvals.approve(link, "", PHONE)
    assert await office.approvals.deny(link) == "gone"


async def test_a_denied_login_is_told_once(office: Office) -> None:
    """As it was asked for, however often the button is pressed."""
    _, link = await office.begin()
    await office.letters()
    office.hand.at += 300
    outcomes = await asyncio.gather(*(office.approvals.deny(link) for _ in range(20)))
    (letter,) = await office.letters()
    assert sorted(outcomes) == ["denied"] + ["gone"] * 19
    assert (letter.kind, letter.to) == ("login_denied", "ada@example.org")
    assert letter.values == {"when": minute(office.hand.at - 300), "ip": DESK.address, "platform": "cURL"}


async def test_an_approved_login_is_not_told_as_denied(office: Office) -> None:
    """Though the other button is pressed afterwards."""
    _, link = await office.begin()
    await office.letters()
    assert [await office.approvals.approve(link, "", PHONE), await office.approvals.deny(link)] == ["approved", "gone"]
    assert await office.letters() == []


async def test_a_denied_address_is_no_denied_login(office: Office) -> None:
    """Who reads it may be anybody, and the account has lost nothing."""
    office.made.clear()
    await office.emails.ask(office.ada, address("new@example.org"), "x", DESK)
    await office.letters()
    assert (await office.approvals.deny(office.link()), await office.letters()) == ("denied", [])


async def test_parallel_claims_make_one_session(office: Office) -> None:
    """Also where each is let through by the limits."""
    started, link = await office.begin()
    await office.approvals.approve(link, "", PHONE)
    found = await asyncio.gather(*(office.claim(started) for _ in range(20)), return_exceptions=True)
    assert len([one for one in found if isinstance(one, str)]) == 1
    assert len(await office.store.grants.grants(office.ada.id)) == 1


@pytest.mark.parametrize(("seconds", "outcome"), [(APPROVAL_SECONDS - 1, "approved"), (APPROVAL_SECONDS, "gone")])
async def test_a_link_ends(office: Office, seconds: float, outcome: str) -> None:
    """To the second."""
    _, link = await office.begin()
    office.hand.at += seconds
    assert await office.approvals.approve(link, "", PHONE) == outcome


async def test_neither_secret_is_stored(office: Office) -> None:
    """Who reads the database can neither poll nor approve."""
    started, link = await office.begin()
    stored = repr([await office.column(column.name) for column in challenge.columns])
    assert [secret for secret in (started.auth_id, link) if secret in stored] == []


@pytest.mark.parametrize(
    ("username", "email"), [("ada", "eve@example.org"), ("eve", "ada@example.org"), ("eve", "eve@example.org")]
)
async def test_a_decoy_leads_nowhere(office: Office, username: str, email: str) -> None:
    """It has the same rows; its mail counts as sent, and its link opens nothing."""
    started, link = await office.begin(username, email)
    async with office.store.changes().database.reading() as connection:
        sent = list((await connection.execute(select(outbox.c.sent_at))).scalars())
    assert [at is None for at in sent] == [False]
    assert (await office.approvals.view(link, DESK), await office.approvals.approve(link, "", DESK)) == (None, "gone")
    assert await office.refused(started) == "code_wrong"


async def test_names_are_compared_without_case(office: Office) -> None:
    """As everywhere."""
    _, link = await office.begin("ADA", "Ada@Example.ORG")
    assert await office.approvals.approve(link, "", PHONE) == "approved"


async def test_the_page_knows_another_network(office: Office) -> None:
    """A login that somebody else began comes from one."""
    _, link = await office.begin()
    here, there = await office.approvals.view(link, DESK), await office.approvals.view(link, PHONE)
    assert here is not None
    assert (here.elsewhere, there) == (False, replace(here, elsewhere=True))


@pytest.mark.parametrize("text", ["x", "x" * 64, "Küche (2. Stock)"])
def test_a_platform_is_any_short_text(text: str) -> None:
    """Of one line."""
    assert require_platform(text) == text


@pytest.mark.parametrize("text", ["", " ", "x" * 65, "a\nb", "a\u202eb", "\x1b[1m"])
def test_what_would_not_show_is_no_platform(text: str) -> None:
    """Empty, too long, or steering the terminal."""
    with pytest.raises(RequestRejected, match="invalid_value"):
        require_platform(text)


@pytest.mark.parametrize(
    ("platform", "mailed"), [("cURL", "cURL"), ("https://evil.example", "https evil example"), ("a@b.c", "a b c")]
)
def test_a_mail_has_no_links_of_strangers(platform: str, mailed: str) -> None:
    """Mail programs would make them."""
    assert unlinked(platform) == mailed
