"""Conformance: many at once. What is one of its kind stays one: factors, identities, keys, mails, grants."""

import asyncio

import pytest

from gateway.clock import Clock
from gateway.identity.model import (
    Factor,
    Grant,
    Issue,
    LinkedIdentity,
    MacKey,
    SigningKey,
    TelegramBot,
)
from gateway.store.changes import Changes
from gateway.store.sql import Store

from .racing import COUNT, ISSUER, LETTER, at_once, challenge, tally
from .world import HOUR, World

pytestmark = pytest.mark.usefixtures("patient")

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
