"""Conformance: what a decision on a challenge leaves behind."""

import pytest

from gateway.identity.challenge import Challenge
from gateway.store.challenges import Challenges

from .world import World


async def asked(world: World) -> tuple[Challenges, Challenge]:
    """An approval that nobody has decided, and where it is stored."""
    at, account, challenges = world.hand.at, await world.ada(), world.store.changes().challenges
    value = Challenge(
        world.clock.uuid4(), "approval", at, at + 900, "navak", account_id=account.id, address="ada@example.org",
        address_key=account.id, needs_code=True,
    )  # fmt: skip
    await challenges.begin(value, b"link", None, b"client")
    return challenges, value


@pytest.mark.parametrize("method", ["otp", "recovery", None])
async def test_an_approval_remembers_what_was_proved(world: World, method: str | None) -> None:
    """For the session that it ends in."""
    challenges, value = await asked(world)
    assert await challenges.decide(value.id, True, method)
    found = await challenges.by_client(b"client")
    assert found is not None
    assert (found.state, found.method) == ("approved", method)


async def test_a_second_decision_changes_nothing(world: World) -> None:
    """Neither the state, nor what was proved for it."""
    challenges, value = await asked(world)
    await challenges.decide(value.id, True, "recovery")
    decided = [await challenges.decide(value.id, approved, "otp") for approved in (True, False)]
    found = await challenges.by_client(b"client")
    assert found is not None
    assert (decided, found.state, found.method) == ([False, False], "approved", "recovery")
