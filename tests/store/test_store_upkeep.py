"""What the store forgets, what it never forgets, and when grants were used last: over the real database."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import DependencyFailed
from gateway.identity.challenge import Challenge
from gateway.identity.grants import Terms
from gateway.store.sqlite.upkeep import forget, touch
from gateway.store.upkeep import SESSIONS_KEPT

from .world import World

DAY = 86400.0


async def session(world: World, lifetime: float = 60.0) -> str:
    account = await world.ada()
    return (await world.grants.issue_session(account.id, Terms(lifetime))).id


async def grants(world: World) -> Sequence[tuple[Any, ...]]:
    """Kind and last use of each that is left."""
    return await world.rows("SELECT kind, last_used_at FROM grant_")


async def challenges(world: World) -> Sequence[str]:
    return [str(row[0]) for row in await world.rows("SELECT id FROM challenge ORDER BY id")]


@pytest.mark.parametrize(("late", "left"), [(0.0, 1), (0.5, 0)])
async def test_a_session_is_forgotten_a_month_after_its_end(world: World, late: float, left: int) -> None:
    """Whoever asks how somebody got in has that long to do so."""
    await session(world, 60.0)
    await world.store.forget(world.hand.at + 60.0 + SESSIONS_KEPT + late)
    assert len(await grants(world)) == left


@pytest.mark.parametrize(("late", "left"), [(0.0, 1), (0.5, 0)])
async def test_a_revoked_session_counts_from_its_revocation(world: World, late: float, left: int) -> None:
    """Not from the end that it would have had."""
    grant_id = await session(world, 365 * DAY)
    await world.grants.revoke(grant_id)
    await world.store.forget(world.hand.at + SESSIONS_KEPT + late)
    assert len(await grants(world)) == left


async def test_a_live_session_stays(world: World) -> None:
    """However long ago it began."""
    await session(world, 365 * DAY)
    await world.store.forget(world.hand.at + 364 * DAY)
    assert len(await grants(world)) == 1


@pytest.mark.parametrize("end", ["expired", "revoked", "deleted"])
async def test_a_connection_string_is_never_forgotten(world: World, end: str) -> None:
    """Its digest keeps the same string, revoked or not, from being made again."""
    account, tenant = await world.manager()
    until = world.hand.at + 60
    grant = (await world.grants.create_connection_string(account.id, tenant.id, "manager", until)).grant
    if end != "expired":
        store = world.store.changes().grants
        assert await store.revoke_own(account.id, grant.id, "connection", "test", delete=end == "deleted")
    await world.store.forget(world.hand.at + 3650 * DAY)
    assert [kind for kind, _ in await grants(world)] == ["connection"]


@pytest.mark.parametrize(("late", "left"), [(0.0, ["c"]), (0.5, [])])
async def test_a_challenge_is_forgotten_once_it_has_expired_by_then(world: World, late: float, left: list[str]) -> None:
    """Both sides of the moment."""
    at = world.hand.at
    await world.store.changes().challenges.begin(Challenge("c", "login", at, at + 900), None, None)
    await world.store.forget(at + 900 + late)
    assert await challenges(world) == left


async def test_forgetting_leaves_no_reference_to_what_went(world: World) -> None:
    """The challenge of a second factor points to its grant."""
    grant_id, at = await session(world), world.hand.at
    step_up = Challenge("c", "step_up", at, at + 300, grant_id=grant_id)
    await world.store.changes().challenges.begin(step_up, None, None)
    await world.store.forget(at + SESSIONS_KEPT + DAY)
    orphans = "SELECT c.id FROM challenge c LEFT JOIN grant_ g ON g.id = c.grant_id WHERE g.id IS NULL"
    assert await world.rows(orphans) == []


@pytest.mark.parametrize(("before", "after", "found"), [(50.0, 60.0, 60.0), (60.0, 60.0, 60.0), (60.0, 50.0, 60.0)])
async def test_a_use_never_moves_backwards(world: World, before: float, after: float, found: float) -> None:
    """Two workers write as they come."""
    grant_id = await session(world)
    await world.store.touch({grant_id: before})
    await world.store.touch({grant_id: after})
    assert await grants(world) == [("session", found)]


async def test_a_use_of_a_grant_that_went_is_no_fault(world: World) -> None:
    """And the others of the same write count."""
    grant_id = await session(world)
    await world.store.touch({"gone": 1.0, grant_id: 2.0})
    assert await grants(world) == [("session", 2.0)]


@pytest.mark.parametrize("work", ["touch", "forget"])
async def test_a_file_that_is_not_there_is_our_fault(tmp_path: Path, work: str) -> None:
    """And none is made in its place."""
    path = tmp_path / "none.db"
    with pytest.raises(DependencyFailed, match="store_unavailable"):
        await (touch(path, {"a": 1.0}) if work == "touch" else forget(path, 1.0))
    assert not path.exists()
