"""Conformance: what a decision on a challenge leaves behind."""

import pytest

from gateway.identity.challenge import Challenge
from gateway.identity.letters import Letter
from gateway.store.challenges import Challenges

from .world import World

TOLD = Letter("login_denied", "ada@example.org", {"ip": "192.0.2.1"})
UNSEALABLE = Letter("login_denied", "ada@example.org", {"ip": b"no text"})  # type: ignore[dict-item]


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


async def test_a_denial_posts_its_letter_once(world: World) -> None:
    """However often the button is pressed."""
    challenges, value = await asked(world)
    denied = [await challenges.decide(value.id, False, letter=TOLD) for _ in range(3)]
    assert (denied, await world.rows("SELECT template FROM outbox")) == ([True, False, False], [("login_denied",)])


async def test_what_is_too_late_to_deny_posts_no_letter(world: World) -> None:
    """Approved before, it may be claimed by now."""
    challenges, value = await asked(world)
    await challenges.decide(value.id, True, "otp")
    assert await challenges.decide(value.id, False, letter=TOLD) is False
    assert await world.rows("SELECT template FROM outbox") == []


async def test_a_denial_whose_letter_cannot_be_posted_is_none(world: World) -> None:
    """Both or neither: the button can be pressed again."""
    challenges, value = await asked(world)
    with pytest.raises(TypeError):
        await challenges.decide(value.id, False, letter=UNSEALABLE)
    assert await world.rows("SELECT state FROM challenge") == [("open",)]
    assert await challenges.decide(value.id, False, letter=TOLD)
