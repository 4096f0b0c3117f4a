"""Conformance: what a change of factors does to the grant that is kept."""

from gateway.identity.grants import Terms
from gateway.identity.model import Factor

from .world import World

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
