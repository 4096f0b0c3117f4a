"""The cache of verified credentials: what it keeps, for how long, and what undoes it."""

from dataclasses import replace

import pytest
from identity.forge import NOW, signing_key, token

from gateway.access.authenticate import CacheLimits
from gateway.errors import DependencyFailed
from gateway.wire.credentials import Presented

from .caching import OTHER, RS256, WRONG, refused, remembered, revoked
from .world import ACCOUNT, ALICE, GRANT, World


async def test_an_unseen_credential_is_not_remembered() -> None:
    """None means: verify it."""
    assert remembered(World(), WRONG) is None


async def test_a_verified_credential_is_remembered() -> None:
    """The very same object, without asking the store again."""
    world = World()
    presented = world.session()
    verified = await world.authenticator.verify(presented, NOW)
    calls = len(world.store.log)
    assert world.authenticator.recall(presented, NOW) is verified
    assert len(world.store.log) == calls


@pytest.mark.parametrize(("after", "there"), [(29.999, True), (30.0, False)])
async def test_a_good_credential_is_remembered_for_30_seconds(after: float, there: bool) -> None:
    """Both sides of the end."""
    world = World()
    presented = world.session()
    await world.authenticator.verify(presented, NOW)
    assert remembered(world, presented, NOW + after) == ("verified" if there else None)


@pytest.mark.parametrize(("after", "there"), [(9.999, True), (10.0, False)])
async def test_an_entry_never_outlives_its_credential(after: float, there: bool) -> None:
    """S-34: a token that ends in ten seconds is forgotten in ten seconds."""
    world = World()
    presented = world.opaque(expires_at=NOW + 10)
    await world.authenticator.verify(presented, NOW)
    assert remembered(world, presented, NOW + after) == ("verified" if there else None)


async def test_a_credential_is_refused_once_it_has_expired() -> None:
    """S-34: after the entry, the check says so."""
    world = World()
    presented = world.opaque(expires_at=NOW + 10)
    await world.authenticator.verify(presented, NOW)
    assert await refused(world, presented, NOW + 10) == "expired_credential"


async def test_a_clock_set_back_lengthens_no_life() -> None:
    """An entry from the future is no entry."""
    world = World()
    presented = world.session()
    await world.authenticator.verify(presented, NOW)
    assert remembered(world, presented, NOW - 1) is None


@pytest.mark.parametrize(("after", "code"), [(1.999, "invalid_credential"), (2.0, None)])
async def test_a_wrong_credential_is_remembered_for_2_seconds(after: float, code: str | None) -> None:
    """Both sides of the end; it is answered with the code that it was refused with."""
    world = World()
    await refused(world, WRONG)
    assert remembered(world, WRONG, NOW + after) == code


async def test_a_remembered_refusal_is_a_new_exception_each_time() -> None:
    """One that is raised again and again would grow by a traceback each time."""
    world = World()
    await refused(world, WRONG)
    assert world.authenticator.recall(WRONG, NOW) is not world.authenticator.recall(WRONG, NOW)


async def test_a_failure_of_ours_is_not_remembered() -> None:
    """S-26: as soon as the store is back, so are the callers."""
    world = World()
    presented = world.session()
    world.store.down = {"by_grant"}
    with pytest.raises(DependencyFailed):
        await world.authenticator.verify(presented, NOW)
    assert remembered(world, presented) is None
    world.store.down = set()
    assert (await world.authenticator.verify(presented, NOW)).principal.grant_id == GRANT


async def test_the_key_is_the_whole_credential() -> None:
    """S-34: one other byte at the end is another credential (CVE-2026-27840)."""
    world = World()
    presented = world.opaque(b"myc_secret")
    await world.authenticator.verify(presented, NOW)
    assert remembered(world, Presented("opaque", b"myc_secret2")) is None
    assert remembered(world, Presented("opaque", b"myc_secre")) is None


async def test_the_key_holds_the_kind() -> None:
    """The same bytes in another header are another credential."""
    world = World()
    presented = world.opaque()
    await world.authenticator.verify(presented, NOW)
    assert remembered(world, Presented("connection_string", presented.raw)) is None


async def test_the_key_holds_the_generation_of_the_configuration() -> None:
    """S-34: what an older configuration accepted says nothing about this one."""
    first, second = World(), World(generation=1)
    presented = first.opaque()
    await first.authenticator.verify(presented, NOW)
    second.authenticator._entries = first.authenticator._entries
    assert remembered(second, presented) is None


@pytest.mark.parametrize(("made", "kept"), [(3, 3), (4, 3), (10, 3)])
async def test_good_entries_are_bounded(made: int, kept: int) -> None:
    """S-34: both sides of the bound, and the indexes hold no more than the entries."""
    world = World(limits=CacheLimits(size=3))
    for number in range(made):
        await world.authenticator.verify(world.opaque(b"myc_%d" % number), NOW)
    assert world.authenticator.entries == kept
    assert sum(map(len, world.authenticator._by_grant.values())) == kept
    assert sum(map(len, world.authenticator._by_account.values())) == kept


async def test_the_oldest_entry_goes_first() -> None:
    """The others stay."""
    world = World(limits=CacheLimits(size=2))
    credentials = [world.opaque(b"myc_%d" % number) for number in range(3)]
    for presented in credentials:
        await world.authenticator.verify(presented, NOW)
    assert [remembered(world, presented) for presented in credentials] == [None, "verified", "verified"]


@pytest.mark.parametrize(("made", "kept"), [(3, 3), (4, 3)])
async def test_refusals_are_bounded(made: int, kept: int) -> None:
    """Both sides of the bound."""
    world = World(limits=CacheLimits(size=3))
    for number in range(made):
        await refused(world, Presented("opaque", b"wrong%d" % number))
    assert world.authenticator.refusals == kept


async def test_dead_refusals_do_not_pile_up() -> None:
    """Nobody recalls what somebody made up: it goes when others are refused, and not with the hundred-thousandth."""
    world = World()
    for number in range(8):
        await refused(world, Presented("opaque", b"wrong%d" % number))
    later = NOW + CacheLimits().negative
    for number, left in enumerate((5, 2, 3)):
        await refused(world, Presented("opaque", b"late%d" % number), later)
        assert world.authenticator.refusals == left, number
    assert remembered(world, Presented("opaque", b"late0"), later) == "invalid_credential"


async def test_a_flood_of_wrong_credentials_evicts_no_good_one() -> None:
    """Two maps: an attacker has only the one for refusals."""
    world = World(limits=CacheLimits(size=2))
    presented = world.session()
    await world.authenticator.verify(presented, NOW)
    for number in range(50):
        await refused(world, Presented("opaque", b"wrong%d" % number))
    assert remembered(world, presented) == "verified"


async def test_dead_entries_do_not_pile_up() -> None:
    """Those that nobody recalls go when others are made."""
    world = World()
    for number in range(8):
        await world.authenticator.verify(world.opaque(b"myc_%d" % number), NOW)
    for number in range(8, 11):
        await world.authenticator.verify(world.opaque(b"myc_%d" % number), NOW + 30)
    assert world.authenticator.entries == 3
    assert world.authenticator._by_grant[GRANT] == set(world.authenticator._entries)


async def test_a_revoked_grant_is_forgotten_at_once() -> None:
    """And only that one."""
    world = World()
    mine, other = world.session(), world.session(OTHER)
    for presented in (mine, other):
        await world.authenticator.verify(presented, NOW)
    world.authenticator.purge(revoked("grant", GRANT))
    assert (remembered(world, mine), remembered(world, other)) == (None, "verified")


async def test_all_credentials_of_a_changed_account_are_forgotten() -> None:
    """A role taken away must not live on in any of them."""
    world = World()
    bob = replace(ALICE, id="ac000000-0000-4000-8000-000000000002")
    mine = [world.session(), world.opaque(), world.connection()]
    other = world.session(OTHER, bob)
    for presented in (*mine, other):
        await world.authenticator.verify(presented, NOW)
    world.authenticator.purge(revoked("account", ACCOUNT))
    assert [remembered(world, presented) for presented in mine] == [None] * 3
    assert remembered(world, other) == "verified"


async def test_a_caller_without_account_is_asked_about_again_when_an_account_changes() -> None:
    """It may be the account that was just linked to them."""
    world = World()
    presented = Presented("jwt", token(RS256))
    await world.authenticator.verify(presented, NOW)
    world.authenticator.purge(revoked("account", ACCOUNT))
    assert remembered(world, presented) is None


@pytest.mark.parametrize("kind", ["keys", "all"])
async def test_a_purge_of_all_forgets_all(kind: str) -> None:
    """Entries, refusals and indexes."""
    world = World()
    for presented in (world.session(), world.opaque(), Presented("jwt", token(RS256))):
        await world.authenticator.verify(presented, NOW)
    await refused(world, WRONG)
    world.authenticator.purge(revoked(kind))
    assert (world.authenticator.entries, world.authenticator.refusals) == (0, 0)
    assert (world.authenticator._by_grant, world.authenticator._by_account) == ({}, {})


async def test_a_purge_forgets_refusals() -> None:
    """What was refused may be good now: an account enabled, a grant made."""
    world = World()
    await refused(world, WRONG)
    world.authenticator.purge(revoked("grant", OTHER))
    assert remembered(world, WRONG) is None


async def test_new_keys_are_used_after_a_purge_of_keys() -> None:
    """A token signed with a key that is gone is refused, one with the new key accepted."""
    world = World()
    old = world.session()
    await world.authenticator.verify(old, NOW)
    world.store.signing = [signing_key("ES256", "k2")]
    world.authenticator.purge_all()
    assert await refused(world, old) == "invalid_credential"
    assert (await world.authenticator.verify(world.session(), NOW)).principal.grant_id == GRANT


async def test_a_revocation_during_a_verification_is_not_overwritten() -> None:
    """The verification read the grant alive; what it says then no longer counts."""
    world = World()
    presented = world.session()
    grant = world.store.standings[GRANT].grant
    assert grant is not None

    def revoke() -> None:
        world.store.during = lambda: None
        world.add(replace(grant, revoked_at=NOW))
        world.authenticator.purge(revoked("grant", GRANT))

    world.store.during = revoke
    assert await refused(world, presented) == "revoked_credential"
    assert remembered(world, presented) == "revoked_credential"


async def test_a_verification_that_is_always_overtaken_is_given_up() -> None:
    """S-26: 503 after three, never a guess."""
    world = World()
    await world.authenticator.reload_keys()
    presented = world.opaque()
    world.store.during = lambda: world.authenticator.purge(revoked("grant", OTHER))
    with pytest.raises(DependencyFailed) as caught:
        await world.authenticator.verify(presented, NOW)
    assert (caught.value.code, world.store.log.count("by_secret")) == ("overloaded", 3)
