"""A registration is done or not: no name is left with nobody who gets in by it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from store.world import MASTER_KEY, Hand, change, rows

from gateway.errors import DependencyFailed
from gateway.identity.grants import secret_digest
from gateway.identity.new_emails import NewEmails
from gateway.identity.origin import Origin
from gateway.identity.registrations import Registrations
from gateway.identity.steps import Entered
from gateway.login.navak import FORM
from gateway.store.sql import Store, open_store
from identity.test_approvals import services

from .world import HERE, clock_of, outcome, tally

CAROL, WRITTEN = "carol@example.org", ("account", "grant_", "challenge", "outbox")


@dataclass
class Counter:
    """Where accounts are made."""

    url: str
    store: Store
    registrations: Registrations

    async def register(self, name: str = "Carol", email: str | None = CAROL, origin: Origin = HERE) -> Entered:
        return await self.registrations.register(name, email, "cURL", origin)

    async def counts(self) -> list[int]:
        """Rows of whatever a registration writes."""
        return [(await rows(self.url, f"SELECT count(*) FROM {table}"))[0][0] for table in WRITTEN]

    async def whose(self, entered: Entered) -> str | None:
        """The account that the session is good for."""
        found = await self.store.directory.by_secret(secret_digest("opaque", entered.secret.encode()))
        return None if found is None else found.account.id


@pytest.fixture
async def counter(settled_url: str) -> AsyncIterator[Counter]:
    clock = clock_of(Hand())
    store = await open_store(settled_url, MASTER_KEY, clock)
    core = services(store, clock)
    yield Counter(settled_url, store, Registrations(core, NewEmails(core, FORM.dialect, "https://g.example/"), FORM))
    await store.aclose()


async def test_a_registration_is_an_account_a_session_a_wish_and_its_mail(counter: Counter) -> None:
    """The session is good at once, the address is not the account's yet."""
    before = await counter.counts()
    entered = await counter.register()
    assert [after - old for after, old in zip(await counter.counts(), before, strict=True)] == [1, 1, 1, 1]
    assert await counter.whose(entered) == entered.account.id
    assert (await counter.store.changes().accounts.account(entered.account.id)).owner.email == ""


async def test_without_an_address_nothing_is_mailed(counter: Counter) -> None:
    """Nor is anything left to confirm."""
    before = await counter.counts()
    await counter.register(email=None)
    assert [after - old for after, old in zip(await counter.counts(), before, strict=True)] == [1, 1, 0, 0]


@pytest.mark.parametrize("table", WRITTEN)
async def test_a_registration_that_fails_half_way_leaves_nothing(counter: Counter, table: str) -> None:
    """Whichever step it is; the name is free for the second try."""
    before = await counter.counts()
    await change(counter.url, f"ALTER TABLE {table} RENAME TO away")
    with pytest.raises(DependencyFailed, match="internal_error"):
        await counter.register()
    await change(counter.url, f"ALTER TABLE away RENAME TO {table}")
    assert await counter.counts() == before
    entered = await counter.register()
    assert await counter.whose(entered) == entered.account.id


async def test_a_taken_name_leaves_nothing(counter: Counter) -> None:
    """In whatever case it is written: no session, and no mail to whom it names."""
    await counter.register()
    before = await counter.counts()
    assert await outcome(counter.register("CAROL", "eve@example.org")) == "conflict"
    assert await counter.counts() == before


async def test_one_of_fifty_gets_a_name(counter: Counter) -> None:
    """With all that belongs to it; the others are told that it is taken, and mail nobody."""
    before = await counter.counts()
    places = [Origin(f"198.51.100.{number}") for number in range(50)]
    tries = [counter.register("Carol", f"carol{number}@example.org", place) for number, place in enumerate(places)]
    found = await asyncio.gather(*(outcome(one) for one in tries))
    assert tally(found) == {"conflict": 49, "ok": 1}
    assert [after - old for after, old in zip(await counter.counts(), before, strict=True)] == [1, 1, 1, 1]
