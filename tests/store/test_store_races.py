"""Conformance: many at once, from several gateways over one store. What SQLite has its one write lock for,
PostgreSQL has `store.locks` for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.challenge import Challenge, Mailed
from gateway.identity.letters import Letter
from gateway.identity.model import (
    Account,
    Factor,
    Grant,
    Issue,
    LinkedIdentity,
    MacKey,
    Owner,
    SigningKey,
    TelegramBot,
    Tenant,
)
from gateway.store.changes import Changes
from gateway.store.sql import Store, open_store

from .world import HOUR, MASTER_KEY, World

T = TypeVar("T")

COUNT = 50
ISSUER, ADDRESS = "https://id.example", "ada@example.org"
LETTER = Letter("magic_link", ADDRESS, {"link": "https://gateway.example/x"})


@pytest.fixture
async def gateways(world: World) -> AsyncIterator[list[Store]]:
    """Three doors to the store."""
    found = [await open_store(world.url, MASTER_KEY, world.clock) for _ in range(3)]
    yield found
    for store in found:
        await store.aclose()


async def at_once(
    gateways: Sequence[Store], work: Callable[[Changes, int], Awaitable[T]], count: int = COUNT
) -> list[T | str]:
    """What each gave, or the code of its refusal."""

    async def one(number: int) -> T | str:
        try:
            return await work(gateways[number % len(gateways)].changes(), number)
        except RequestRejected as fault:
            return fault.code

    return await asyncio.gather(*(one(number) for number in range(count)))


def tally(found: Sequence[object]) -> dict[object, int]:
    return {one: found.count(one) for one in found}


def challenge(world: World, account: Account, **more: object) -> Challenge:
    at = world.hand.at
    fields = {"address": ADDRESS, "address_key": ADDRESS, "account_id": account.id, "tries_left": 5} | more
    return Challenge(world.clock.uuid4(), "login", at, at + 900, **fields)  # type: ignore[arg-type]


def session(world: World, account: Account) -> Issue:
    return Issue(
        Grant(
            world.clock.uuid4(), account.id, "session", "jwt", created_at=world.hand.at, expires_at=world.hand.at + 60
        )
    )


def person(world: World, name: str) -> Account:
    return Account(world.clock.uuid4(), name, Owner(world.clock.uuid4(), "", username=name))


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


# factors


async def test_one_of_fifty_pending_factors_is_left(world: World, gateways: list[Store]) -> None:
    """The last one to begin."""
    account = await world.ada()

    def pending() -> Factor:
        return Factor(world.clock.uuid4(), account.id, "A" * 32, expires_at=world.hand.at + 60)

    found = await at_once(gateways, lambda store, _: store.factors.begin(pending()))
    assert (tally(found), await world.rows("SELECT count(*) FROM factor")) == ({None: COUNT}, [(1,)])


async def test_the_recovery_codes_of_one_of_fifty_are_left(world: World, gateways: list[Store]) -> None:
    """Ten, rather than those of all."""
    account, factors = await world.ada(), world.store.changes().factors
    grant = await world.grants.issue_session(account.id, HOUR)
    pending = Factor(world.clock.uuid4(), account.id, "A" * 32, expires_at=world.hand.at + 60)
    await factors.begin(pending)
    assert await factors.confirm(pending, 1, [b"first"], grant.id, None)

    def codes(number: int) -> list[bytes]:
        return [b"%d of %d" % (code, number) for code in range(10)]

    found = await at_once(gateways, lambda store, n: store.factors.replace_recovery_codes(pending.id, codes(n), None))
    assert (tally(found), await world.rows("SELECT count(*) FROM recovery_code")) == ({True: COUNT}, [(10,)])


async def test_a_factor_is_confirmed_once_and_not_begun_again_meanwhile(world: World, gateways: list[Store]) -> None:
    """Of confirmations, beginnings and removals at once, none finds half of another."""
    account = await world.ada()
    grant = await world.grants.issue_session(account.id, HOUR)
    pending = Factor(world.clock.uuid4(), account.id, "A" * 32, expires_at=world.hand.at + 60)
    await world.store.changes().factors.begin(pending)

    async def work(store: Changes, number: int) -> object:
        if number % 5 == 0:
            return await store.factors.confirm(pending, 1, [b"code"], grant.id, None)
        if number % 5 == 1:
            other = Factor(world.clock.uuid4(), account.id, "B" * 32, expires_at=world.hand.at + 60)
            return await store.factors.begin(other)
        return await store.factors.accept(pending.id, number)

    found = tally(await at_once(gateways, work))
    assert set(found) <= {True, False, None, "mfa_enabled"}
    assert await world.rows("SELECT count(*) FROM factor WHERE state = 'active'") in ([(0,)], [(1,)])


# what else is one of its kind


async def test_one_of_fifty_accounts_gets_an_identity(world: World, gateways: list[Store]) -> None:
    """Whether it is linked, or brought by its issuer."""
    accounts = [await world.ada(f"ada{number}@example.org") for number in range(5)]

    async def work(store: Changes, number: int) -> object:
        if number % 10 == 9:
            return await store.accounts.provision(ISSUER, "alice", "", "Alice")
        held = accounts[number % 5]
        link = LinkedIdentity(world.clock.uuid4(), held.id, ISSUER, "alice", world.hand.at)
        return (await store.links.link(link, None)).account_id

    found = await at_once(gateways, work)
    ((holder,),) = await world.rows("SELECT account_id FROM external_identity")
    assert set(found) <= {holder, None, "conflict"}


async def test_one_of_fifty_bots_is_a_tenants(world: World, gateways: list[Store]) -> None:
    """The last one."""
    tenant = await world.accounts.create_tenant("Acme")
    found = await at_once(
        gateways, lambda store, n: store.bots.put_bot(tenant.id, TelegramBot(f"{n}:x", "secret", "manager", 60.0))
    )
    assert (tally(found), await world.rows("SELECT count(*) FROM telegram_bot")) == ({None: COUNT}, [(1,)])


async def test_a_slug_is_one_role(world: World, gateways: list[Store]) -> None:
    """Whoever uses it first, of fifty."""
    tenant = await world.accounts.create_tenant("Acme")
    accounts = [await world.ada(f"ada{number}@example.org") for number in range(10)]
    found = await at_once(
        gateways, lambda store, n: store.roles.assign(accounts[n % 10].id, tenant.id, "manager", "write")
    )
    assert (tally(found), await world.rows("SELECT count(*) FROM role")) == ({True: 10, False: 40}, [(1,)])


async def test_one_of_fifty_rotations_from_one_view_counts(world: World, gateways: list[Store]) -> None:
    """Of signing keys as of MAC keys."""
    (active,) = [key for key in await world.store.keys.signing_keys() if key.purpose == "token"]

    async def work(store: Changes, number: int) -> bool:
        if number % 2:
            return await store.keys.replace_signing_key(
                SigningKey(f"k{number}", "EdDSA", b"x", "active"), active.kid, False
            )
        return await store.keys.add_mac_key(MacKey(2, b"x" * 32), False)

    found = await at_once(gateways, work)
    assert (tally(found[::2]), tally(found[1::2])) == ({True: 1, False: 24}, {True: 1, False: 24})


async def test_a_connection_string_is_never_signed_with_a_key_that_is_gone(world: World, gateways: list[Store]) -> None:
    """A rotation that would drop a key with live grants is refused, also those that come at the same moment."""
    account, tenant = await world.manager()
    for version in (2, 3):
        await world.store.changes().keys.add_mac_key(MacKey(version, b"x" * 32), False)

    async def work(store: Changes, number: int) -> bool:
        if number == COUNT // 2:
            return await store.keys.add_mac_key(MacKey(4, b"x" * 32), False)
        until = world.hand.at + number + 1
        grant = Grant(
            world.clock.uuid4(), account.id, "connection", "connstr", created_at=world.hand.at, expires_at=until,
            tenant_id=tenant.id, role="manager", permission="write",
        )  # fmt: skip
        return await store.grants.add_connection(Issue(grant, b"%d" % number, "", 1))

    await at_once(gateways, work)
    assert await world.rows("SELECT id FROM grant_ WHERE mac_version IS NULL") == []


async def test_one_of_fifty_strings_of_one_digest_is_stored(world: World, gateways: list[Store]) -> None:
    """The others are told that it is taken, and can try another."""
    account, tenant = await world.manager()

    async def work(store: Changes, number: int) -> bool:
        grant = Grant(
            world.clock.uuid4(), account.id, "connection", "connstr", created_at=0.0, expires_at=world.hand.at + 60,
            tenant_id=tenant.id, role="manager", permission="write",
        )  # fmt: skip
        return await store.grants.add_connection(Issue(grant, b"digest", "", 1))

    assert tally(await at_once(gateways, work)) == {True: 1, False: 49}


async def test_each_mail_is_taken_once(world: World, gateways: list[Store]) -> None:
    """By one of fifty workers."""
    account = await world.ada()
    for _ in range(COUNT):
        value = challenge(world, account, address_key=None)
        await world.store.changes().challenges.begin(value, None, LETTER)

    async def take(store: Changes, number: int) -> list[str]:
        return [taken.id for taken in await store.outbox.take(3, 60.0)]

    found = [taken for share in await at_once(gateways, take) for taken in share]
    assert (len(found), len(set(found))) == (COUNT, COUNT)


async def test_a_grant_is_revoked_once(world: World, gateways: list[Store]) -> None:
    """And told once."""
    grant = await world.grants.issue_session((await world.ada()).id, HOUR)
    start = await world.store.revocations.latest()
    found = await at_once(gateways, lambda store, _: store.grants.revoke(grant.id, "test"))
    assert (tally(found), len(await world.store.revocations.since(start))) == ({True: 1, False: 49}, 1)


async def test_a_poller_misses_nothing(world: World, gateways: list[Store]) -> None:
    """Of fifty changes at once it reads each row once, in the order of ids."""
    accounts = [await world.ada(f"ada{number}@example.org") for number in range(COUNT)]
    start = last = await world.store.revocations.latest()
    changes = asyncio.gather(at_once(gateways, lambda store, n: store.accounts.set_status(accounts[n].id, "disabled")))
    read: list[int] = []
    while not changes.done():
        rows = await world.store.revocations.since(last)
        read += [row.id for row in rows]
        last = read[-1] if read else last
        await asyncio.sleep(0)
    read += [row.id for row in await world.store.revocations.since(last)]
    assert read == list(range(start + 1, start + COUNT + 1))


async def test_no_two_changes_wait_for_each_other(world: World, gateways: list[Store]) -> None:
    """Of all kinds, on one account."""
    account, tenant = await world.manager()
    grants = [await world.grants.issue_session(account.id, HOUR) for _ in range(COUNT)]
    clock = Clock()

    async def work(store: Changes, number: int) -> object:
        match number % 8:
            case 0:
                return await store.accounts.set_password(account.id, "phc", grants[number].id, None)
            case 1:
                return await store.grants.revoke(grants[number].id, "test")
            case 2:
                return await store.grants.revoke_sessions(account.id, grants[number].id, "test")
            case 3:
                await store.challenges.begin(challenge(world, account), None, LETTER)
            case 4:
                return await store.roles.assign(account.id, tenant.id, f"role{number}", "read")
            case 5:
                return await store.factors.remove(account.id, grants[number].id, None)
            case 6:
                await gateways[0].touch({grant.id: clock.now() for grant in grants})
            case 7:
                return await store.keys.add_mac_key(MacKey(2 + number // 8, b"x" * 32), True)
        return None

    await at_once(gateways, work)  # none raises DependencyFailed: a deadlock would be one
