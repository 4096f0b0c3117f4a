"""Pages of lists in every store: whole, in order, and stable while others come and go."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import RequestRejected
from gateway.identity.letters import Letter
from gateway.identity.model import Invitation, Mark, Page, unguarded

from .racing import session
from .world import World


async def all_of(page: Callable[[int, Mark | None], Awaitable[Page[Any]]], limit: int) -> list[Any]:
    """Every item, a page at a time; the marks as a client keeps them."""
    found: list[Any] = []
    after: Mark | None = None
    while True:
        part = await page(limit, after)
        assert len(part.items) <= limit
        found += part.items
        if part.next is None:
            return found
        after = tuple(json.loads(json.dumps(part.next)))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_pages_are_the_whole_list(world: World, limit: int) -> None:
    """Of accounts and tenants that were made in one instant, too."""
    listings = world.store.changes().listings
    accounts = [(await world.ada(f"a{number}@example.org")).id for number in range(4)]
    tenants = [(await world.accounts.create_tenant(f"T{number}")).id for number in range(4)]
    assert [one.id for one in await all_of(listings.accounts, limit)] == accounts
    assert {one.id for one in await all_of(listings.tenants, limit)} == set(tenants)
    assert len(await all_of(listings.tenants, limit)) == 4


async def test_who_comes_and_goes_between_pages_shifts_nothing(world: World) -> None:
    """Where a count of items would skip one, or show one twice."""
    listings = world.store.changes().listings
    ids = [(await world.ada(f"a{number}@example.org")).id for number in range(4)]
    first = await listings.accounts(2, None)
    await world.store.changes().governance.delete_account(ids[0], unguarded)
    await world.ada("late@example.org")
    second = await listings.accounts(10, first.next)
    assert [one.id for one in first.items] == ids[:2]
    assert [one.id for one in second.items][:2] == ids[2:]
    assert len(second.items) == 3


@pytest.mark.parametrize(
    ("text", "found"),
    [("ada@", 1), ("ADA@EX", 1), ("example.org", 2), ("%", 0), ("_", 0), ("\\", 0), ("nobody", 0), ("b'; --", 0)],
)
async def test_a_search_is_for_a_part_as_it_is_written(world: World, text: str, found: int) -> None:
    """In any case; what means something to a database means nothing here."""
    await world.ada()
    await world.ada("bob@example.org")
    assert len((await world.store.changes().listings.accounts(10, None, text)).items) == found


async def test_a_tenant_is_sought_by_its_name(world: World) -> None:
    """A part of it."""
    await world.accounts.create_tenant("Acme Works")
    await world.accounts.create_tenant("Other")
    assert [one.name for one in (await world.store.changes().listings.tenants(10, None, "me w")).items] == [
        "Acme Works"
    ]


async def test_accounts_are_sought_by_status(world: World) -> None:
    """All but deleted ones where nothing is said."""
    ada, bob, eve = [await world.ada(f"{name}@example.org") for name in ("ada", "bob", "eve")]
    await world.accounts.disable(bob.id)
    await world.store.changes().governance.delete_account(eve.id, unguarded)
    listings = world.store.changes().listings
    for status, expected in ((None, [ada.id, bob.id]), ("disabled", [bob.id]), ("deleted", [eve.id])):
        assert [one.id for one in (await listings.accounts(10, None, "", status)).items] == expected  # type: ignore[arg-type]


async def test_members_are_who_own_or_hold(world: World) -> None:
    """Each once, with all they hold there."""
    owner, tenant = await world.manager()
    await world.accounts.assign_role(owner.id, tenant.id, "reader", "read")
    other = await world.ada("other@example.org")
    await world.store.changes().governance.add_owner(tenant.id, other.id, unguarded)
    await world.ada("nobody@example.org")
    listings = world.store.changes().listings
    found = await all_of(lambda limit, after: listings.members(tenant.id, limit, after), 1)
    assert [(one.account.id, one.roles, one.owner_since) for one in found] == [
        (owner.id, (("manager", "write"), ("reader", "read")), None),
        (other.id, (), world.hand.at),
    ]
    assert [one.account.id for one in await listings.owners(tenant.id)] == [other.id]


async def test_grants_come_newest_first(world: World) -> None:
    """By kind, and live ones alone, where that is asked."""
    ada = await world.ada()
    issues = []
    for _ in range(3):
        issues.append(session(world, ada))
        await world.store.grants.add_grant(issues[-1])
        world.hand.at += 1
    await world.grants.revoke(issues[0].grant.id)
    listings = world.store.changes().listings
    ids = [issue.grant.id for issue in reversed(issues)]
    found = await all_of(lambda limit, after: listings.grants(ada.id, limit, after), 1)
    assert [one.grant.id for one in found] == ids
    live = await listings.grants(ada.id, 10, None, "session", True)
    assert [one.grant.id for one in live.items] == ids[:2]
    assert (await listings.grants(ada.id, 10, None, "connection")).items == []


async def test_roles_come_by_slug(world: World) -> None:
    """Whoever holds them."""
    account, tenant = await world.manager()
    await world.accounts.assign_role(account.id, tenant.id, "auditor", "read")
    assert [slug for _, slug in await all_of(world.store.changes().listings.roles, 1)] == ["auditor", "manager"]


async def test_invitations_come_by_state(world: World) -> None:
    """Each is in exactly one."""
    ada = await world.ada()
    tenant = await world.accounts.create_tenant("Acme")
    changes, at = world.store.changes(), world.hand.at
    letter = Letter("invitation", "x@example.org", {"link": "x", "tenant": "x", "role": "x", "expires": "x"})
    base = Invitation("", tenant.id, "", "", "reader", "read", b"", ada.id, at, at + 60)
    made = {}
    for state in ("open", "accepted", "revoked", "expired"):
        address = ada.owner.email if state == "accepted" else f"{state}@example.org"
        until = at + 10 if state == "expired" else at + 60
        made[state] = replace(
            base, id=world.clock.uuid4(), address=address, address_key=address, digest=state.encode(), expires_at=until
        )
        await changes.invitations.invite(made[state], letter, known_role=False)
    assert await changes.invitations.accept(b"accepted", ada.id, lambda *_: True)
    assert await changes.invitations.revoke(tenant.id, made["revoked"].id, unguarded)
    world.hand.at += 11
    for state, one in made.items():
        page = await changes.listings.invitations(tenant.id, 10, None, state)  # type: ignore[arg-type]
        assert [(found.id, found.state(world.hand.at)) for found in page.items] == [(one.id, state)]
    assert len(await all_of(lambda limit, after: changes.listings.invitations(tenant.id, limit, after), 3)) == 4


@pytest.mark.parametrize("call", ["members", "owners", "invitations", "grants"])
async def test_of_what_is_not_there_nothing_is_listed(world: World, call: str) -> None:
    """It is not found, which an empty list would not say."""
    listings, nobody = world.store.changes().listings, world.clock.uuid4()
    asked = listings.owners(nobody) if call == "owners" else getattr(listings, call)(nobody, 10, None)
    with pytest.raises(RequestRejected, match="not_found"):
        await asked
