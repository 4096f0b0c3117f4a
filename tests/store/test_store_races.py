"""Conformance: many at once, from several gateways over one store. What SQLite has its one write lock for,
PostgreSQL has `store.locks` for.
"""

import pytest

from gateway.identity.challenge import Mailed
from gateway.identity.model import (
    Account,
    Owner,
    Tenant,
)
from gateway.store.changes import Changes
from gateway.store.sql import Store

from .racing import ADDRESS, COUNT, ISSUER, LETTER, at_once, challenge, person, session, tally
from .world import World

pytestmark = pytest.mark.usefixtures("patient")

# accounts


async def test_one_of_fifty_is_the_first_account(world: World, gateways: list[Store]) -> None:
    """Whoever comes second finds somebody."""
    found = await at_once(
        gateways, lambda store, number: store.accounts.add_first(person(world, f"a{number}"), f"a{number}", "phc")
    )
    assert (tally(found), await world.rows("SELECT count(*) FROM account")) == ({True: 1, False: 49}, [(1,)])


async def test_fifty_accounts_get_fifty_numbers(world: World, gateways: list[Store]) -> None:
    """One after the other, with tenants and what issuers bring among them."""

    async def add(store: Changes, number: int) -> None:
        if number % 3 == 0:
            await store.accounts.add_account(person(world, f"a{number}"), "", f"a{number}")
        elif number % 3 == 1:
            own = Account(world.clock.uuid4(), "Acme", Owner(world.clock.uuid4(), ""), kind="service")
            await store.tenants.add_tenant(Tenant(world.clock.uuid4(), "Acme", own.id), own, None)
        else:
            await store.accounts.provision(ISSUER, f"s{number}", "", "Eve")

    assert tally(await at_once(gateways, add)) == {None: COUNT}
    assert await world.rows("SELECT num FROM account ORDER BY num") == [(number + 1,) for number in range(COUNT)]


async def test_one_of_fifty_registers_a_name(world: World, gateways: list[Store]) -> None:
    """The others leave neither a session nor anything else."""

    async def add(store: Changes, number: int) -> None:
        value = person(world, "bo")
        wish = Mailed(challenge(world, value, address_key=value.id), b"%d" % number, LETTER)
        await store.accounts.register(value, "bo", session(world, value), None, wish)

    assert tally(await at_once(gateways, add)) == {None: 1, "conflict": 49}
    tables = ("account", "grant_", "challenge", "outbox")
    assert [await world.rows(f"SELECT count(*) FROM {name}") for name in tables] == [[(1,)]] * len(tables)


async def test_one_of_fifty_gets_an_address(world: World, gateways: list[Store]) -> None:
    """The others are told what is taken."""

    async def add(store: Changes, number: int) -> None:
        value = Account(world.clock.uuid4(), "Ada", Owner(world.clock.uuid4(), ADDRESS))
        await store.accounts.add_account(value, ADDRESS)

    assert tally(await at_once(gateways, add)) == {None: 1, "conflict": 49}


async def test_an_issuer_and_an_operator_bring_one_address_to_one_account(world: World, gateways: list[Store]) -> None:
    """Whoever comes second is refused, or goes without it."""

    async def add(store: Changes, number: int) -> None:
        if number % 2:
            value = Account(world.clock.uuid4(), "Ada", Owner(world.clock.uuid4(), ADDRESS))
            await store.accounts.add_account(value, ADDRESS)
        else:
            await store.accounts.provision(ISSUER, f"s{number}", ADDRESS, "Ada")

    found = tally(await at_once(gateways, add))
    assert set(found) <= {None, "conflict"}
    assert await world.rows("SELECT count(*) FROM email") == [(1,)]


async def test_one_subject_makes_one_account(world: World, gateways: list[Store]) -> None:
    """Fifty first requests of somebody."""
    found = await at_once(gateways, lambda store, _: store.accounts.provision(ISSUER, "s1", "", "Eve"))
    assert (tally(found), await world.rows("SELECT count(*) FROM account")) == ({None: COUNT}, [(1,)])


async def test_one_of_fifty_passwords_is_left(world: World, gateways: list[Store]) -> None:
    """And every change counts for logins that began before."""
    account = await world.ada()
    found = await at_once(gateways, lambda store, n: store.accounts.set_password(account.id, f"phc{n}", None, None))
    assert tally(found) == {None: COUNT}
    assert await world.rows("SELECT count(*) FROM password") == [(1,)]
    assert await world.rows("SELECT epoch FROM account") == [(COUNT,)]


async def test_no_wrong_password_is_not_counted(world: World, gateways: list[Store]) -> None:
    """Fifty at once are fifty."""
    account = await world.ada()
    await world.store.changes().accounts.set_password(account.id, "phc", None, None)
    await at_once(gateways, lambda store, _: store.accounts.guessed(account.id, False))
    assert await world.rows("SELECT failures FROM password") == [(COUNT,)]


async def test_no_session_outlives_a_password_that_was_changed_meanwhile(world: World, gateways: list[Store]) -> None:
    """Whatever came before the change is revoked by it; whatever came after it is not claimed."""
    account = await world.ada()
    logins = [challenge(world, account, address_key=None) for _ in range(COUNT)]
    for value in logins:
        await world.store.changes().challenges.begin(value, None, None)

    async def work(store: Changes, number: int) -> object:
        if number == COUNT // 2:
            return await store.accounts.set_password(account.id, "phc", None, None)
        return await store.challenges.claim(logins[number].id, session(world, account), 0, None)

    await at_once(gateways, work)
    assert await world.rows("SELECT id FROM grant_ WHERE revoked_at IS NULL") == []


async def test_a_disabled_account_has_no_live_session_that_nobody_was_told_of(
    world: World, gateways: list[Store]
) -> None:
    """What is issued at the same moment is issued before it."""
    account = await world.ada()

    async def work(store: Changes, number: int) -> object:
        if number == COUNT // 2:
            return await store.accounts.set_status(account.id, "disabled")
        return await store.grants.add_grant(session(world, account))

    found = tally(await at_once(gateways, work))
    assert await world.rows("SELECT count(*) FROM grant_") == [(found.get(None, 0),)]
    assert found[True] == 1


# challenges


async def test_one_of_fifty_claims_gets_a_grant(world: World, gateways: list[Store]) -> None:
    """The challenge ends with it."""
    account = await world.ada()
    value = challenge(world, account)
    await world.store.changes().challenges.begin(value, None, None)
    found = await at_once(gateways, lambda store, _: store.challenges.claim(value.id, session(world, account), 0, None))
    assert (tally(found), await world.rows("SELECT count(*) FROM grant_")) == ({True: 1, False: 49}, [(1,)])


async def test_one_of_fifty_challenges_of_an_address_is_live(world: World, gateways: list[Store]) -> None:
    """Each takes the place of the older ones."""
    account = await world.ada()
    await at_once(gateways, lambda store, _: store.challenges.begin(challenge(world, account), None, LETTER))
    found = [state for (state,) in await world.rows("SELECT state FROM challenge")]
    assert tally(found) == {"open": 1, "superseded": 49}


async def test_fifty_tries_spend_five(world: World, gateways: list[Store]) -> None:
    """However they come."""
    value = challenge(world, await world.ada())
    await world.store.changes().challenges.begin(value, None, None)
    found = await at_once(gateways, lambda store, _: store.challenges.spend_try(value.id))
    assert tally(found) == {True: 5, False: 45}


async def test_one_of_fifty_denials_is_told(world: World, gateways: list[Store]) -> None:
    """One challenge, one mail."""
    value = challenge(world, await world.ada())
    await world.store.changes().challenges.begin(value, None, None)
    found = await at_once(gateways, lambda store, _: store.challenges.decide(value.id, False, letter=LETTER))
    assert (tally(found), await world.rows("SELECT count(*) FROM outbox")) == ({True: 1, False: 49}, [(1,)])


async def test_single_sessions_are_single(world: World, gateways: list[Store]) -> None:
    """Fifty logins of one account leave one session, and the others are told to every worker."""
    account = await world.ada()
    logins = [challenge(world, account, address_key=None) for _ in range(COUNT)]
    for value in logins:
        await world.store.changes().challenges.begin(value, None, None)
    start = await world.store.revocations.latest()
    found = await at_once(
        gateways,
        lambda store, n: store.challenges.claim(logins[n].id, session(world, account), 0, None, single=True),
    )
    assert tally(found) == {True: COUNT}
    assert await world.rows("SELECT count(*) FROM grant_ WHERE revoked_at IS NULL") == [(1,)]
    assert len(await world.store.revocations.since(start)) == COUNT - 1
