"""Conformance: grants and the keys that sign them."""

import asyncio

import pytest

from gateway.errors import RequestRejected
from gateway.identity import connection_string
from gateway.identity.model import SigningKey

from .world import HOUR, World

pytestmark = pytest.mark.usefixtures("patient")

NOBODY = "00000000-0000-4000-8000-000000000000"
YEAR = 365 * 86400.0


async def create(world: World, until: float, role: str = "manager") -> tuple[str, float]:
    """A connection string for the first account in the first tenant: the string and the expiry taken."""
    account, tenant = (await world.accounts.accounts())[0], (await world.accounts.tenants())[0]
    handed = await world.grants.create_connection_string(account.id, tenant.id, role, until)
    return handed.secret, handed.grant.expires_at


async def test_a_connection_string_verifies_with_the_stored_key(world: World) -> None:
    """What is handed out is what the gateway accepts."""
    await world.manager()
    secret, _ = await create(world, world.hand.at + YEAR)
    assert connection_string.verify(connection_string.parse(secret.encode()), await world.store.keys.mac_keys())


async def test_the_same_values_again_take_an_earlier_second(world: World) -> None:
    """Two strings for the same five values differ by one second of expiry, told in the answer."""
    await world.manager()
    first, second = await create(world, world.hand.at + YEAR), await create(world, world.hand.at + YEAR)
    assert first[0] != second[0]
    assert (first[1], second[1]) == (world.hand.at + YEAR, world.hand.at + YEAR - 1)


async def test_a_revoked_connection_string_is_not_revived(world: World) -> None:
    """Its values stay taken after its end."""
    account, _ = await world.manager()
    first, _ = await create(world, world.hand.at + YEAR)
    await world.grants.revoke((await world.grants.grants(account.id))[0].id)
    second, _ = await create(world, world.hand.at + YEAR)
    assert second != first


async def test_creating_at_once_gives_different_strings(world: World) -> None:
    """The unique digest decides, not a look beforehand."""
    await world.manager()
    made = await asyncio.gather(*(create(world, world.hand.at + YEAR) for _ in range(6)))
    assert len({secret for secret, _ in made}) == 6


async def test_an_expiry_cannot_be_lowered_into_the_past(world: World) -> None:
    """With two seconds of life there are two strings, and a third is refused."""
    await world.manager()
    await create(world, world.hand.at + 2)
    await create(world, world.hand.at + 2)
    with pytest.raises(RequestRejected, match="conflict"):
        await create(world, world.hand.at + 2)


@pytest.mark.parametrize("until", [0.0, -1.0, 3650 * 86400.0 + 1])
async def test_an_expiry_out_of_bounds_is_refused(world: World, until: float) -> None:
    """Past, now, or beyond the longest life."""
    await world.manager()
    with pytest.raises(RequestRejected, match="invalid_value"):
        await create(world, world.hand.at + until)


@pytest.mark.parametrize("until", [1.0, 3650 * 86400.0])
async def test_an_expiry_at_a_bound_is_taken(world: World, until: float) -> None:
    """One second and the longest life."""
    await world.manager()
    assert (await create(world, world.hand.at + until))[1] == world.hand.at + until


async def test_a_role_that_is_not_held_is_refused(world: World) -> None:
    """A string cannot say more than its account may."""
    await world.manager()
    with pytest.raises(RequestRejected, match="role_missing"):
        await create(world, world.hand.at + YEAR, "owner")


async def test_a_role_held_elsewhere_is_refused(world: World) -> None:
    """The role counts in its tenant only."""
    account, _ = await world.manager()
    other = await world.accounts.create_tenant("Other")
    with pytest.raises(RequestRejected, match="role_missing"):
        await world.grants.create_connection_string(account.id, other.id, "manager", world.hand.at + YEAR)


async def test_an_unknown_tenant_is_not_found(world: World) -> None:
    """Rather than a role that is missing."""
    account, _ = await world.manager()
    with pytest.raises(RequestRejected, match="not_found"):
        await world.grants.create_connection_string(account.id, NOBODY, "manager", world.hand.at + YEAR)


async def test_a_disabled_account_gets_no_grant(world: World) -> None:
    """None of the three kinds."""
    account, _ = await world.manager()
    await world.accounts.disable(account.id)
    for call in (world.grants.issue_session(account.id, HOUR), world.grants.issue_opaque(account.id, HOUR)):
        with pytest.raises(RequestRejected, match="not active"):
            await call
    with pytest.raises(RequestRejected, match="not active"):
        await create(world, world.hand.at + YEAR)


async def test_revoking_tells_every_worker(world: World) -> None:
    """By the grant's id."""
    grant = await world.grants.issue_session((await world.ada()).id, HOUR)
    assert await world.grants.revoke(grant.id)
    assert [(row.kind, row.subject) for row in await world.store.revocations.since(0)][-1] == ("grant", grant.id)


async def test_revoking_twice_is_told(world: World) -> None:
    """The second answer is False and the first time stands."""
    account = await world.ada()
    grant = await world.grants.issue_session(account.id, HOUR)
    await world.grants.revoke(grant.id)
    world.hand.at += 10
    assert not await world.grants.revoke(grant.id)
    assert (await world.grants.grants(account.id))[0].revoked_at == world.hand.at - 10


async def test_revoking_an_unknown_grant_is_not_found(world: World) -> None:
    """A slip in the id must not pass for success."""
    with pytest.raises(RequestRejected, match="not_found"):
        await world.grants.revoke(NOBODY)


async def test_revocations_are_numbered_upwards(world: World) -> None:
    """A poller that remembers the last id misses nothing and reads nothing twice."""
    before = await world.store.revocations.latest()
    grants = [await world.grants.issue_session((await world.ada()).id, HOUR) for _ in range(1)]
    await world.grants.revoke(grants[0].id)
    rows = await world.store.revocations.since(before)
    assert [row.id for row in rows] == [before + 1]
    assert await world.store.revocations.since(rows[-1].id) == []


async def test_the_first_keys_are_one_of_each(world: World) -> None:
    """A token key, an assertion key, a MAC key, all active."""
    found = sorted((key.purpose, key.state) for key in await world.keys.records())
    assert found == [("assertion", "active"), ("connection_string", "active"), ("token", "active")]


async def test_ensuring_again_makes_nothing(world: World) -> None:
    """Every start calls it."""
    assert not await world.keys.ensure("EdDSA")


async def test_ensuring_another_algorithm_makes_a_key(world: World) -> None:
    """The configured algorithm signs from then on; the old key goes on verifying."""
    assert await world.keys.ensure("ES256")
    found = {(key.algorithm, key.state) for key in await world.store.keys.signing_keys() if key.purpose == "token"}
    assert found == {("ES256", "active"), ("EdDSA", "retiring")}


async def tokens(world: World) -> list[SigningKey]:
    return [key for key in await world.store.keys.signing_keys() if key.purpose == "token"]


async def test_an_old_signing_key_stays_while_a_token_may_need_it(world: World) -> None:
    """A later rotation keeps it as long as a session from before is live."""
    await world.grants.issue_session((await world.ada()).id, HOUR)
    old = (await tokens(world))[0].kid
    await world.keys.rotate_signing("EdDSA")
    world.hand.at += 3599
    await world.keys.rotate_signing("EdDSA")
    assert old in {key.kid for key in await tokens(world)}


async def test_an_old_signing_key_goes_when_no_token_can_need_it(world: World) -> None:
    """One second later every session from before has ended."""
    await world.grants.issue_session((await world.ada()).id, HOUR)
    old = (await tokens(world))[0].kid
    await world.keys.rotate_signing("EdDSA")
    world.hand.at += 3600
    await world.keys.rotate_signing("EdDSA")
    assert old not in {key.kid for key in await tokens(world)}


async def test_forcing_a_rotation_drops_old_signing_keys(world: World) -> None:
    """One key of each purpose is left, and every cache is told to empty."""
    await world.grants.issue_session((await world.ada()).id, HOUR)
    await world.keys.rotate_signing("EdDSA", force=True)
    assert [key.state for key in await world.store.keys.signing_keys()] == ["active", "active"]
    assert "all" in {row.kind for row in await world.store.revocations.since(0)}


async def test_a_rotation_from_a_stale_view_changes_nothing(world: World) -> None:
    """Only who knows the active key may replace it."""
    key = (await tokens(world))[0]
    new = SigningKey("new", "EdDSA", b"x", "active")
    assert not await world.store.keys.replace_signing_key(new, "not-" + key.kid, drop=False)
    assert await tokens(world) == [key]


async def test_three_mac_keys_live_newest_first(world: World) -> None:
    """A fourth takes the place of the oldest."""
    for _ in range(3):
        await world.keys.rotate_mac()
    assert [key.version for key in await world.store.keys.mac_keys()] == [4, 3, 2]


async def test_a_mac_key_with_live_grants_is_not_dropped(world: World) -> None:
    """The refusal counts them, and the keys stay."""
    await world.manager()
    await create(world, world.hand.at + YEAR)
    await world.keys.rotate_mac()
    await world.keys.rotate_mac()
    with pytest.raises(RequestRejected, match="1 live connection strings are signed with MAC key 1"):
        await world.keys.rotate_mac()
    assert [key.version for key in await world.store.keys.mac_keys()] == [3, 2, 1]


async def test_a_mac_key_whose_grants_are_dead_is_dropped(world: World) -> None:
    """Expired and revoked ones do not count."""
    account, _ = await world.manager()
    await create(world, world.hand.at + 10)
    await create(world, world.hand.at + YEAR)
    await world.grants.revoke(next(g.id for g in await world.grants.grants(account.id) if g.expires_at > 10**9 + YEAR))
    for grant in await world.grants.grants(account.id):
        await world.grants.revoke(grant.id)
    for _ in range(3):
        await world.keys.rotate_mac()
    assert 1 not in {key.version for key in await world.store.keys.mac_keys()}


async def test_forcing_a_mac_rotation_revokes_what_hangs_on_the_key(world: World) -> None:
    """The grants end, and every worker is told of each."""
    account, _ = await world.manager()
    await create(world, world.hand.at + YEAR)
    await world.keys.rotate_mac()
    await world.keys.rotate_mac()
    await world.keys.rotate_mac(force=True)
    (grant,) = await world.grants.grants(account.id)
    assert grant.revoked_at == world.hand.at
    assert ("grant", grant.id) in {(row.kind, row.subject) for row in await world.store.revocations.since(0)}


async def test_listing_counts_the_live_grants_of_a_mac_key(world: World) -> None:
    """So that people see what a rotation would end."""
    await world.manager()
    await create(world, world.hand.at + YEAR)
    assert [key.live_grants for key in await world.keys.records() if key.kind == "mac"] == [1]
