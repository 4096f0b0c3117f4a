"""What the administration changes, in every store: guards within the change, and races that one wins."""

from dataclasses import replace

import pytest

from gateway.errors import RequestRejected
from gateway.identity.model import Account, Member, unguarded
from gateway.store.changes import Changes
from gateway.store.sql import Store

from .racing import at_once, person, session, tally
from .world import World

pytestmark = pytest.mark.usefixtures("patient")


def refusing(_: object) -> None:
    raise RequestRejected("forbidden")


async def staff(world: World, name: str) -> Account:
    made = replace(person(world, name), is_staff=True, is_manager=True)
    await world.store.accounts.add_account(made, "", name)
    return await world.accounts.account(made.id)


async def test_a_guard_is_asked_about_the_account_as_it_is(world: World) -> None:
    """And what it refuses is not done."""
    ada, governance = await world.ada(), world.store.changes().governance
    asked: list[Account] = []
    assert await governance.set_rank(ada.id, "manager", asked.append)
    assert [account.is_manager for account in asked] == [False]
    for refused in (
        governance.set_rank(ada.id, "staff", refusing),
        governance.delete_account(ada.id, refusing),
        governance.revoke_grants(ada.id, None, None, "test", refusing),
        world.store.accounts.set_status(ada.id, "disabled", refusing),
        world.store.accounts.set_mfa_policy(ada.id, "required", refusing),
        world.store.accounts.set_password(ada.id, "phc", None, None, refusing),
        world.store.changes().factors.remove(ada.id, None, None, refusing),
    ):
        with pytest.raises(RequestRejected, match="forbidden"):
            await refused
    after = await world.accounts.account(ada.id)
    assert (after.is_staff, after.status, after.mfa_policy) == (False, "active", "inherit")


async def test_a_member_guard_sees_what_is_held_there_alone(world: World) -> None:
    """Not what the account holds or owns elsewhere."""
    account, tenant = await world.manager()
    other = await world.accounts.create_tenant("Other", account.id)
    seen: list[Member] = []
    await world.store.roles.assign(account.id, tenant.id, "reader", "read", seen.append)
    await world.store.roles.assign(account.id, other.id, "reader", "read", seen.append)
    assert [(one.tenant_id, one.roles, one.owner_since is None) for one in seen] == [
        (tenant.id, (("manager", "write"),), True),
        (other.id, (), False),
    ]
    for refused in (
        world.store.roles.assign(account.id, tenant.id, "writer", "read", refusing),
        world.store.roles.remove(account.id, tenant.id, "manager", None, refusing),
        world.store.changes().governance.add_owner(tenant.id, account.id, refusing),
        world.store.changes().governance.remove_owner(other.id, account.id, refusing),
    ):
        with pytest.raises(RequestRejected, match="forbidden"):
            await refused
    assert len(await world.accounts.assignments(account.id)) == 3


async def test_of_the_last_two_of_the_staff_one_stays(world: World, gateways: list[Store]) -> None:
    """Each takes the other's rank away, or stops them, at once and from several gateways."""
    one, two = await staff(world, "one"), await staff(world, "two")

    async def lower(changes: Changes, number: int) -> bool:
        target = (one, two)[number % 2].id
        if number % 4 < 2:
            return await changes.governance.set_rank(target, "user", unguarded)
        return await changes.accounts.set_status(target, "disabled", unguarded, keep_staff=True)

    found = tally(await at_once(gateways, lower))
    left = [account for account in await world.accounts.accounts() if account.is_staff and account.is_live]
    assert len(left) == 1
    assert found["conflict"]


async def test_an_operator_may_stop_the_last_of_the_staff(world: World) -> None:
    """At the command line, where another can be made: that very account may be in wrong hands."""
    one = await staff(world, "one")
    assert (await world.accounts.disable(one.id)).status == "disabled"


async def test_a_deleted_account_is_none_any_more(world: World) -> None:
    """Nothing of its holder is left in any table, its credentials are over, and its names are free."""
    ada = await world.ada()
    await world.store.grants.add_grant(session(world, ada))
    await world.store.changes().governance.delete_account(ada.id, unguarded)
    gone = await world.accounts.account(ada.id)
    assert (gone.status, gone.deleted, gone.name, gone.owner.email, gone.is_live) == (
        "deleted",
        True,
        "deleted",
        "",
        False,
    )
    assert await world.rows("SELECT count(*) FROM grant_ WHERE revoked_at IS NULL") == [(0,)]
    assert await world.rows(f"SELECT count(*) FROM revocation WHERE kind = 'account' AND subject = '{ada.id}'") == [
        (1,)
    ]
    assert (await world.ada()).id != ada.id
    for refused in (
        world.store.accounts.set_status(ada.id, "active"),
        world.store.changes().governance.set_rank(ada.id, "staff", unguarded),
        world.store.changes().governance.delete_account(ada.id, unguarded),
    ):
        with pytest.raises(RequestRejected, match="is deleted"):
            await refused


async def test_a_tenants_own_account_is_not_deleted(world: World) -> None:
    """Licences are counted against it."""
    tenant = await world.accounts.create_tenant("Acme")
    with pytest.raises(RequestRejected, match="own account"):
        await world.store.changes().governance.delete_account(tenant.account_id, unguarded)


async def test_a_tenant_goes_with_all_that_is_its_own(world: World) -> None:
    """Once nobody holds a role in it: owners, its account; and owners are told."""
    ada = await world.ada()
    tenant = await world.accounts.create_tenant("Acme", ada.id)
    await world.accounts.assign_role(ada.id, tenant.id, "reader", "read")
    governance = world.store.changes().governance
    with pytest.raises(RequestRejected, match="holds a role"):
        await governance.delete_tenant(tenant.id)
    await world.accounts.remove_role(ada.id, tenant.id, "reader")
    before = await world.store.revocations.latest()
    await governance.delete_tenant(tenant.id)
    assert [row.subject for row in await world.store.revocations.since(before)] == [ada.id]
    assert await world.rows("SELECT count(*) FROM tenant_owner") == [(0,)]
    assert await world.rows(f"SELECT count(*) FROM account WHERE id = '{tenant.account_id}'") == [(0,)]


async def test_a_tenant_with_a_live_string_is_not_deleted(world: World) -> None:
    """Whose role was taken away: it would be refused, but a list should say why."""
    account, tenant = await world.manager()
    await world.grants.create_connection_string(account.id, tenant.id, "manager", world.hand.at + 60)
    await world.accounts.remove_role(account.id, tenant.id, "manager")
    governance = world.store.changes().governance
    with pytest.raises(RequestRejected, match="live credentials"):
        await governance.delete_tenant(tenant.id)
    world.hand.at += 61
    await governance.delete_tenant(tenant.id)


async def test_a_tenant_is_given_and_deleted_at_once(world: World, gateways: list[Store]) -> None:
    """Either the role is held and the tenant there, or neither: no fault of the database comes through."""
    ada = await world.ada()
    for _ in range(5):
        tenant = await world.accounts.create_tenant("Acme")

        async def either(changes: Changes, number: int, tenant_id: str = tenant.id) -> object:
            if number == 2:
                return await changes.governance.delete_tenant(tenant_id)
            return await changes.roles.assign(ada.id, tenant_id, "reader", "read")

        found = tally(await at_once(gateways, either, 4))
        assert set(found) <= {None, True, False, "not_found", "conflict"}


async def test_a_new_name_is_told_to_who_is_in_the_tenant(world: World) -> None:
    """It stands in their profiles."""
    account, tenant = await world.manager()
    before = await world.store.revocations.latest()
    await world.store.changes().governance.rename_tenant(tenant.id, "New")
    assert [row.subject for row in await world.store.revocations.since(before)] == [account.id]
    (held,) = await world.accounts.assignments(account.id)
    assert held.tenant_name == "New"


async def test_a_grant_is_ended_for_its_own_account_only(world: World) -> None:
    """And once."""
    ada, bob = await world.ada(), await world.ada("bob@example.org")
    issue = session(world, ada)
    await world.store.grants.add_grant(issue)
    governance = world.store.changes().governance
    with pytest.raises(RequestRejected, match="no such credential"):
        await governance.revoke_grant(bob.id, issue.grant.id, "test", unguarded)
    assert await governance.revoke_grant(ada.id, issue.grant.id, "test", unguarded)
    assert not await governance.revoke_grant(ada.id, issue.grant.id, "test", unguarded)


async def test_all_grants_of_a_kind_but_one(world: World) -> None:
    """How many, and which."""
    ada = await world.ada()
    issues = [session(world, ada) for _ in range(3)]
    for issue in issues:
        await world.store.grants.add_grant(issue)
    governance = world.store.changes().governance
    assert await governance.revoke_grants(ada.id, "api_key", None, "test", unguarded) == 0
    assert await governance.revoke_grants(ada.id, "session", issues[0].grant.id, "test", unguarded) == 2
    live = [grant.id for grant in await world.grants.grants(ada.id) if grant.revoked_at is None]
    assert live == [issues[0].grant.id]
