"""Conformance: what a change of factors does to the grant that is kept, and that a code is spent once."""

import asyncio

import pyotp

from gateway.identity import totp
from gateway.identity.factors import Factors
from gateway.identity.grants import Terms
from gateway.identity.model import Factor
from gateway.identity.notices import Unheard
from gateway.identity.origin import Origin
from gateway.identity.throttle import Throttle
from gateway.store.sql import open_store

from .world import MASTER_KEY, World

TERMS = Terms(lifetime=3600, amr=("pwd",))


async def test_a_session_proves_one_factor_again_when_the_other_goes(world: World) -> None:
    """Else one could enrol and disable a factor of one's own, and pass `mfa: required` from then on."""
    account, factors = await world.ada(), world.store.changes().factors
    grant = await world.grants.issue_session(account.id, TERMS)
    pending = Factor(world.clock.uuid4(), account.id, "A" * 32, expires_at=world.hand.at + 60)
    await factors.begin(pending)
    assert await factors.confirm(pending, 1, [b"code"], grant.id, None)
    raised = [held for held in await world.grants.grants(account.id) if held.id == grant.id]
    await factors.remove(account.id, grant.id, None)
    lowered = [held for held in await world.grants.grants(account.id) if held.id == grant.id]
    assert ([held.aal for held in raised], [(held.aal, held.amr) for held in lowered]) == ([2], [(1, ("pwd",))])


async def test_a_change_of_what_a_session_proves_is_told_to_every_worker(world: World) -> None:
    """The session goes on; what others remember of it does not."""
    account, factors = await world.ada(), world.store.changes().factors
    grant = await world.grants.issue_session(account.id, TERMS)
    pending = Factor(world.clock.uuid4(), account.id, "A" * 32, expires_at=world.hand.at + 60)
    await factors.begin(pending)
    told = []
    for change in (
        factors.confirm(pending, 1, [b"code"], grant.id, None),
        factors.remove(account.id, grant.id, None),
    ):
        last = await world.store.revocations.latest()
        await change
        told.append([(row.kind, row.subject) for row in await world.store.revocations.since(last)])
    assert told == [[("grant", grant.id)]] * 2


async def test_a_code_is_spent_once_between_two_workers(world: World) -> None:
    """Each has its own door to the database; the row's last step is the guard, and needs nothing shared besides."""
    account = await world.ada()
    grant = await world.grants.issue_session(account.id, TERMS)
    secret = totp.new_secret(world.clock)
    pending = Factor(world.clock.uuid4(), account.id, secret, expires_at=world.hand.at + 60)
    await world.store.changes().factors.begin(pending)
    assert await world.store.changes().factors.confirm(pending, 1, [b"code"], grant.id, None)
    other = await open_store(world.url, MASTER_KEY, world.clock)
    services = [
        Factors(store.changes().factors, Throttle(world.clock), store.pepper, Unheard(), world.clock, "test")
        for store in (world.store, other)
    ]
    code = pyotp.TOTP(secret).generate_otp(int(world.hand.at) // 30)
    tries = [services[n % 2].prove(account, code, Origin(f"192.0.2.{n}")) for n in range(4)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(one if isinstance(one, str) else one.code for one in found) == ["mfa_code_wrong"] * 3 + ["otp"]  # type: ignore[union-attr]
    await other.aclose()
