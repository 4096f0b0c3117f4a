"""Invitations in every store: of parallel calls one is the acceptance, and a token is only kept as its digest."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gateway.errors import RequestRejected
from gateway.identity.authority import entitled
from gateway.identity.letters import Letter
from gateway.identity.model import Account, Invitation, Tenant, unguarded
from gateway.store.changes import Changes
from gateway.store.sql import Store

from .racing import at_once, tally
from .world import World, stored

pytestmark = pytest.mark.usefixtures("patient")

TOLD = {"link": "https://gateway.example/SECRET-TOKEN", "tenant": "Acme", "role": "reader", "expires": "then"}


async def invited(world: World) -> tuple[Account, Tenant, Invitation]:
    ada, owner = await world.ada(), await world.ada("owner@example.org")
    tenant = await world.accounts.create_tenant("Acme", owner.id)
    address, at = ada.owner.email, world.hand.at
    made = Invitation(
        world.clock.uuid4(), tenant.id, address, address, "reader", "read", b"digest", owner.id, at, at + 60
    )
    await world.store.changes().invitations.invite(made, Letter("invitation", address, TOLD), known_role=False)
    return ada, tenant, made


async def test_of_many_acceptances_one_is_it(world: World, gateways: list[Store]) -> None:
    """And the role is held once."""
    ada, _, _ = await invited(world)

    async def accept(changes: Changes, _: int) -> bool:
        return await changes.invitations.accept(b"digest", ada.id, entitled) is not None

    assert tally(await at_once(gateways, accept)) == {True: 1, False: 49}
    assert len(await world.accounts.assignments(ada.id)) == 1


async def test_taken_and_taken_back_at_once_is_one_of_both(world: World, gateways: list[Store]) -> None:
    """Whoever takes it back is told whether it was in time."""
    ada, tenant, made = await invited(world)

    async def either(changes: Changes, number: int) -> object:
        if number % 2:
            return await changes.invitations.revoke(tenant.id, made.id, unguarded)
        return "taken" if await changes.invitations.accept(b"digest", ada.id, entitled) else "gone"

    found = tally(await at_once(gateways, either))
    held = bool(await world.accounts.assignments(ada.id))
    assert held == ("taken" in found)
    assert (True in found) != held


async def test_many_invitations_to_the_same_are_one(world: World, gateways: list[Store]) -> None:
    """So that a mailbox gets one mail."""
    _, _, made = await invited(world)

    async def invite(changes: Changes, number: int) -> bool:
        other = replace(made, id=world.clock.uuid4(), address="b@b.org", address_key="b@b.org", digest=b"%d" % number)
        await changes.invitations.invite(other, Letter("invitation", "b@b.org", TOLD), known_role=False)
        return True

    assert tally(await at_once(gateways, invite)) == {True: 1, "conflict": 49}


async def test_an_address_that_is_not_proved_takes_nothing(world: World) -> None:
    """Anybody may claim one."""
    _, _, _ = await invited(world)
    eve = await world.ada("eve@example.org")
    assert await world.store.changes().invitations.accept(b"digest", eve.id, entitled) is None
    assert await world.store.changes().invitations.accept(b"other", eve.id, entitled) is None


async def test_an_account_that_is_not_live_takes_nothing(world: World) -> None:
    """And leaves it open."""
    ada, _, _ = await invited(world)
    await world.accounts.disable(ada.id)
    with pytest.raises(RequestRejected, match="not active"):
        await world.store.changes().invitations.accept(b"digest", ada.id, entitled)
    await world.accounts.enable(ada.id)
    assert await world.store.changes().invitations.accept(b"digest", ada.id, entitled)


async def test_an_address_is_invited_while_one_is_open(world: World) -> None:
    """That is what lets it log in for the first time."""
    _, _, made = await invited(world)
    invitations = world.store.changes().invitations
    assert await invitations.invited(made.address_key, entitled)
    assert not await invitations.invited("other@example.org", entitled)
    world.hand.at += 61
    assert not await invitations.invited(made.address_key, entitled)


async def removed(world: World, tenant: Tenant, inviter: str) -> None:
    await world.store.changes().governance.remove_owner(tenant.id, inviter, unguarded)


async def disabled(world: World, _: Tenant, inviter: str) -> None:
    await world.accounts.disable(inviter)


@pytest.mark.parametrize("gone", [removed, disabled])
async def test_an_invitation_does_not_outlive_the_rights_of_who_invited(
    world: World, gone: Callable[[World, Tenant, str], Awaitable[None]]
) -> None:
    """It lets nobody in, gives no role, and is void from then on: also when they come back."""
    ada, tenant, made = await invited(world)
    await gone(world, tenant, made.invited_by)
    invitations = world.store.changes().invitations
    assert not await invitations.invited(made.address_key, entitled)
    assert await invitations.accept(b"digest", ada.id, entitled) is None
    if gone is disabled:
        await world.accounts.enable(made.invited_by)
    await world.store.changes().governance.add_owner(tenant.id, made.invited_by, unguarded)
    assert await invitations.accept(b"digest", ada.id, entitled) is None
    assert await world.accounts.assignments(ada.id) == []


async def test_one_of_nobody_is_void(world: World) -> None:
    """Whose account is not there any more."""
    ada, _, made = await invited(world)
    other = replace(made, id=world.clock.uuid4(), role="writer", digest=b"other", invited_by=world.clock.uuid4())
    await world.store.changes().invitations.invite(other, Letter("invitation", ada.owner.email, TOLD), known_role=False)
    assert await world.store.changes().invitations.accept(b"other", ada.id, entitled) is None


async def test_removed_and_accepted_at_once_is_one_of_both(world: World, gateways: list[Store]) -> None:
    """Whoever is let in was let in by an owner; two who invite each other do not wait for one another for ever."""
    ada, tenant, made = await invited(world)

    async def either(changes: Changes, number: int) -> object:
        if number % 2:
            return await changes.governance.remove_owner(tenant.id, made.invited_by, unguarded)
        return "taken" if await changes.invitations.accept(b"digest", ada.id, entitled) else "gone"

    found = tally(await at_once(gateways, either))
    assert found[True] == 1
    assert bool(await world.accounts.assignments(ada.id)) == ("taken" in found)


async def test_a_guard_is_asked_which_is_taken_back(world: World) -> None:
    """And what it refuses stays open."""
    ada, tenant, made = await invited(world)
    asked: list[Invitation] = []

    def refusing(found: Invitation) -> None:
        asked.append(found)
        raise RequestRejected("forbidden")

    with pytest.raises(RequestRejected, match="forbidden"):
        await world.store.changes().invitations.revoke(tenant.id, made.id, refusing)
    assert [(one.role, one.permission) for one in asked] == [("reader", "read")]
    assert await world.store.changes().invitations.accept(b"digest", ada.id, entitled)


async def test_a_deleted_account_leaves_no_address_in_invitations(world: World) -> None:
    """Taken or open: what waits lets nobody make an account for it."""
    ada, tenant, made = await invited(world)
    changes = world.store.changes()
    await changes.invitations.accept(b"digest", ada.id, entitled)
    for number, address in enumerate((ada.owner.email, "other@example.org")):
        one = replace(
            made, id=world.clock.uuid4(), address=address, address_key=address, role="writer", digest=b"%d" % number
        )
        await changes.invitations.invite(one, Letter("invitation", address, TOLD), known_role=False)
    await world.store.roles.remove(ada.id, tenant.id, "reader", None)
    await changes.governance.delete_account(ada.id, unguarded)
    assert not await changes.invitations.invited(made.address_key, entitled)
    assert await world.rows("SELECT address FROM invitation") == [("other@example.org",)]


async def test_a_stolen_database_accepts_nothing(world: World) -> None:
    """The mail's link is sealed until it has gone."""
    await invited(world)
    assert b"SECRET-TOKEN" not in await stored(world.url)
