"""Invitations in every store: of parallel calls one is the acceptance, and a token is only kept as its digest."""

from dataclasses import replace

import pytest

from gateway.errors import RequestRejected
from gateway.identity.letters import Letter
from gateway.identity.model import Account, Invitation, Tenant
from gateway.store.changes import Changes
from gateway.store.sql import Store

from .racing import at_once, tally
from .world import World, stored

TOLD = {"link": "https://gateway.example/SECRET-TOKEN", "tenant": "Acme", "role": "reader", "expires": "then"}


async def invited(world: World) -> tuple[Account, Tenant, Invitation]:
    ada, tenant = await world.ada(), await world.accounts.create_tenant("Acme")
    address, at = ada.owner.email, world.hand.at
    made = Invitation(
        world.clock.uuid4(), tenant.id, address, address, "reader", "read", b"digest", world.clock.uuid4(), at, at + 60
    )
    await world.store.changes().invitations.invite(made, Letter("invitation", address, TOLD), known_role=False)
    return ada, tenant, made


async def test_of_many_acceptances_one_is_it(world: World, gateways: list[Store]) -> None:
    """And the role is held once."""
    ada, _, _ = await invited(world)

    async def accept(changes: Changes, _: int) -> bool:
        return await changes.invitations.accept(b"digest", ada.id) is not None

    assert tally(await at_once(gateways, accept)) == {True: 1, False: 49}
    assert len(await world.accounts.assignments(ada.id)) == 1


async def test_taken_and_taken_back_at_once_is_one_of_both(world: World, gateways: list[Store]) -> None:
    """Whoever takes it back is told whether it was in time."""
    ada, tenant, made = await invited(world)

    async def either(changes: Changes, number: int) -> object:
        if number % 2:
            return await changes.invitations.revoke(tenant.id, made.id)
        return "taken" if await changes.invitations.accept(b"digest", ada.id) else "gone"

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
    assert await world.store.changes().invitations.accept(b"digest", eve.id) is None
    assert await world.store.changes().invitations.accept(b"other", eve.id) is None


async def test_an_account_that_is_not_live_takes_nothing(world: World) -> None:
    """And leaves it open."""
    ada, _, _ = await invited(world)
    await world.accounts.disable(ada.id)
    with pytest.raises(RequestRejected, match="not active"):
        await world.store.changes().invitations.accept(b"digest", ada.id)
    await world.accounts.enable(ada.id)
    assert await world.store.changes().invitations.accept(b"digest", ada.id)


async def test_an_address_is_invited_while_one_is_open(world: World) -> None:
    """That is what lets it log in for the first time."""
    _, _, made = await invited(world)
    invitations = world.store.changes().invitations
    assert await invitations.invited(made.address_key)
    assert not await invitations.invited("other@example.org")
    world.hand.at += 61
    assert not await invitations.invited(made.address_key)


async def test_a_stolen_database_accepts_nothing(world: World) -> None:
    """The mail's link is sealed until it has gone."""
    await invited(world)
    assert b"SECRET-TOKEN" not in await stored(world.url)
