"""Conformance: accounts, tenants, roles."""

import pytest

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.accounts import NewAccount
from gateway.identity.challenge import Challenge, Mailed
from gateway.identity.letters import Letter
from gateway.identity.model import Account, Grant, Issue, Owner, Revocation

from .world import World, change

NOBODY = "00000000-0000-4000-8000-000000000000"


async def last(world: World) -> Revocation:
    return (await world.store.revocations.since(0))[-1]


async def test_an_account_is_listed_as_it_was_made(world: World) -> None:
    """Show and list give back what create answered."""
    account = await world.accounts.create_account(NewAccount("ada@example.org", username="ada"))
    assert await world.accounts.account(account.id) == account
    assert list(await world.accounts.accounts()) == [account]


async def test_a_tenants_own_account_is_not_listed(world: World) -> None:
    """Nobody logs in to it."""
    await world.accounts.create_tenant("Acme")
    assert list(await world.accounts.accounts()) == []


@pytest.mark.parametrize("again", ["ada@example.org", "ADA@EXAMPLE.ORG", "Ada@Example.org"])
async def test_an_address_is_one_accounts(world: World, again: str) -> None:
    """The same address in another case is taken."""
    await world.ada("ada@example.org")
    with pytest.raises(RequestRejected, match="e-mail address is taken"):
        await world.ada(again)


@pytest.mark.parametrize("again", ["ada", "ADA", "ａｄａ"])
async def test_a_username_is_one_accounts(world: World, again: str) -> None:
    """The same name in another case or width is taken."""
    await world.accounts.create_account(NewAccount("ada@example.org", username="ada"))
    with pytest.raises(RequestRejected, match="username is taken"):
        await world.accounts.create_account(NewAccount("eve@example.org", username=again))


async def test_a_refused_account_leaves_nothing(world: World) -> None:
    """The account of a taken address is rolled back with it."""
    await world.ada()
    with pytest.raises(RequestRejected):
        await world.ada()
    assert len(await world.accounts.accounts()) == 1


async def test_disabling_tells_every_worker(world: World) -> None:
    """The revocation row is there when the command returns."""
    account = await world.ada()
    await world.accounts.disable(account.id)
    assert await last(world) == Revocation(await world.store.revocations.latest(), "account", account.id)


async def test_disabling_twice_tells_once(world: World) -> None:
    """What changes nothing writes nothing."""
    account = await world.ada()
    await world.accounts.disable(account.id)
    before = await world.store.revocations.latest()
    assert (await world.accounts.disable(account.id)).status == "disabled"
    assert await world.store.revocations.latest() == before


async def test_enabling_brings_back(world: World) -> None:
    """An enabled account is live and every worker hears of it."""
    account = await world.ada()
    await world.accounts.disable(account.id)
    before = await world.store.revocations.latest()
    assert (await world.accounts.enable(account.id)).is_live
    assert [row.subject for row in await world.store.revocations.since(before)] == [account.id]


async def test_a_deleted_account_stays_deleted(world: World) -> None:
    """Enable is not undelete."""
    account = await world.ada()
    await world.store.accounts.set_status(account.id, "deleted")
    with pytest.raises(RequestRejected, match="is deleted"):
        await world.accounts.enable(account.id)


async def test_an_unknown_account_is_not_found(world: World) -> None:
    """Every call with an id that is not there says so."""
    for call in (world.accounts.account, world.accounts.disable, world.accounts.assignments, world.grants.grants):
        with pytest.raises(RequestRejected, match="not_found"):
            await call(NOBODY)


async def test_a_tenant_of_an_unknown_owner_is_not_made(world: World) -> None:
    """Tenant, own account and ownership come together or not at all."""
    with pytest.raises(RequestRejected, match="not_found"):
        await world.accounts.create_tenant("Acme", NOBODY)
    assert list(await world.accounts.tenants()) == []


async def test_tenants_may_share_a_name(world: World) -> None:
    """The id is what tells them apart."""
    first, second = await world.accounts.create_tenant("Acme"), await world.accounts.create_tenant("Acme")
    assert first.account_id != second.account_id
    assert {tenant.id for tenant in await world.accounts.tenants()} == {first.id, second.id}


async def test_assigning_tells_every_worker(world: World) -> None:
    """The cached principal of the account has to go."""
    account, _ = await world.manager()
    assert (await last(world)).subject == account.id


async def test_assigning_again_is_not_new(world: World) -> None:
    """The second assignment of the same role answers False and writes nothing."""
    account, tenant = await world.manager()
    before = await world.store.revocations.latest()
    assert not await world.accounts.assign_role(account.id, tenant.id, "manager", "write")
    assert await world.store.revocations.latest() == before


async def test_read_and_write_are_two_assignments(world: World) -> None:
    """Taking one away leaves the other."""
    account, tenant = await world.manager()
    await world.accounts.assign_role(account.id, tenant.id, "manager", "read")
    await world.accounts.remove_role(account.id, tenant.id, "manager", "write")
    assert [held.permission for held in await world.accounts.assignments(account.id)] == ["read"]


async def test_removing_without_a_permission_takes_both(world: World) -> None:
    """No assignment of the role is left."""
    account, tenant = await world.manager()
    await world.accounts.assign_role(account.id, tenant.id, "manager", "read")
    await world.accounts.remove_role(account.id, tenant.id, "manager")
    assert list(await world.accounts.assignments(account.id)) == []


async def test_removing_tells_every_worker(world: World) -> None:
    """A role that was taken away must not live on in a cache."""
    account, tenant = await world.manager()
    before = await world.store.revocations.latest()
    await world.accounts.remove_role(account.id, tenant.id, "manager")
    assert [row.subject for row in await world.store.revocations.since(before)] == [account.id]


async def test_removing_what_is_not_held_is_not_found(world: World) -> None:
    """A slip in the slug must not pass for success."""
    account, tenant = await world.manager()
    with pytest.raises(RequestRejected, match="not_found"):
        await world.accounts.remove_role(account.id, tenant.id, "manger")


async def test_a_role_keeps_its_id(world: World) -> None:
    """The slug is one role, whoever holds it."""
    account, tenant = await world.manager()
    other = await world.ada("eve@example.org")
    await world.accounts.assign_role(other.id, tenant.id, "manager", "read")
    ids = {held.role_id for who in (account, other) for held in await world.accounts.assignments(who.id)}
    assert len(ids) == 1


@pytest.mark.parametrize("slug", ["", "Manager", "-a", "_a", "a;b", "a b", "a=b", "a" * 65, "ä"])
async def test_a_slug_out_of_form_is_refused(world: World, slug: str) -> None:
    """Nothing in a slug may need escaping."""
    account, tenant = await world.manager()
    with pytest.raises(RequestRejected, match="invalid_value"):
        await world.accounts.assign_role(account.id, tenant.id, slug, "read")


@pytest.mark.parametrize("slug", ["a", "0", "a-b_c", "a" * 64])
async def test_a_slug_in_form_is_taken(world: World, slug: str) -> None:
    """Up to 64 characters."""
    account, tenant = await world.manager()
    assert await world.accounts.assign_role(account.id, tenant.id, slug, "read")


def registration(world: World) -> tuple[Account, Issue, Mailed]:
    """Somebody new, their session, and the address that they would like to have."""
    at, account = world.hand.at, Account(world.clock.uuid4(), "Bo", Owner(world.clock.uuid4(), "", username="Bo"))
    grant = Grant(world.clock.uuid4(), account.id, "session", "opaque", at, at + 60)
    wish = Challenge(world.clock.uuid4(), "new_email", at, at + 60, account_id=account.id, address_key=account.id)
    return account, Issue(grant, digest=b"secret"), Mailed(wish, b"link", Letter("email_confirmation", "bo@x.y", {}))


async def test_a_registration_stores_all_that_belongs_to_it(world: World) -> None:
    """Each part is found by what it is asked for."""
    changes, (account, session, wish) = world.store.changes(), registration(world)
    await changes.accounts.register(account, "bo", session, "phc", wish)
    password, begun = await changes.accounts.password(account.id), await changes.challenges.by_link(b"link")
    found, (mail,) = await changes.accounts.by_username("bo"), await changes.outbox.take(10, 1.0)
    assert (found and found.id, password and password.phc, begun) == (account.id, "phc", wish.challenge)
    assert (await changes.grants.grants(account.id), mail.letter) == ([session.grant], wish.letter)


@pytest.mark.parametrize("table", ["account", "password", "grant_", "challenge", "outbox"])
async def test_a_registration_is_stored_whole_or_not_at_all(world: World, table: str) -> None:
    """Whatever part of it cannot be stored; then the name is free."""
    accounts, (account, session, wish) = world.store.changes().accounts, registration(world)
    await change(world.url, f"ALTER TABLE {table} RENAME TO away")
    with pytest.raises(DependencyFailed, match="internal_error"):
        await accounts.register(account, "bo", session, "phc", wish)
    await change(world.url, f"ALTER TABLE away RENAME TO {table}")
    tables = ("account", "password", "grant_", "challenge", "outbox")
    assert [await world.rows(f"SELECT count(*) FROM {name}") for name in tables] == [[(0,)]] * len(tables)
    await accounts.register(account, "bo", session, "phc", wish)
