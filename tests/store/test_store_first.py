"""Conformance: the first account of an empty store."""

import asyncio

from gateway.identity.model import Account, Owner

from .world import World


def admin(world: World) -> Account:
    return Account(world.clock.uuid4(), "admin", Owner(world.clock.uuid4(), "", username="admin"), is_staff=True)


async def test_an_empty_store_has_no_people(world: World) -> None:
    """A tenant's own account is nobody."""
    await world.accounts.create_tenant("Acme")
    assert not await world.store.accounts.has_people()


async def test_whoever_is_disabled_is_somebody(world: World) -> None:
    """Or the door would open again."""
    await world.accounts.disable((await world.ada()).id)
    assert await world.store.accounts.has_people()


async def test_the_first_account_is_as_it_was_made(world: World) -> None:
    """With its username and password, and with no address that anybody could prove."""
    made = admin(world)
    assert await world.store.accounts.add_first(made, "admin", "phc")
    stored = await world.store.accounts.password(made.id)
    assert (await world.store.accounts.by_username("admin"), stored and stored.phc) == (made, "phc")
    assert await world.store.accounts.by_email("") is None


async def test_there_is_one_first_account(world: World) -> None:
    """Of parallel ones."""
    made = [world.store.accounts.add_first(admin(world), f"admin-{number}", "phc") for number in range(10)]
    assert sorted(await asyncio.gather(*made)) == [False] * 9 + [True]


async def test_after_somebody_else_there_is_no_first_account(world: World) -> None:
    """However they came."""
    await world.ada()
    assert not await world.store.accounts.add_first(admin(world), "admin", "phc")
