"""The table of revocations, in every store."""

import pytest

from .world import World


@pytest.mark.parametrize(("later", "left"), [(0.0, 1), (0.001, 0)])
async def test_rows_older_than_the_bound_are_deleted(world: World, later: float, left: int) -> None:
    """Both sides of it."""
    account = await world.ada()
    start = await world.store.revocations.latest()
    await world.accounts.disable(account.id)
    assert len(await world.store.revocations.since(start)) == 1
    await world.store.revocations.prune(world.hand.at + later)
    assert len(await world.store.revocations.since(start)) == left


async def test_an_id_is_never_given_out_again(world: World) -> None:
    """Whoever remembers the last id would else miss the next row."""
    account = await world.ada()
    await world.accounts.disable(account.id)
    last = await world.store.revocations.latest()
    await world.store.revocations.prune(world.hand.at + 1)
    await world.accounts.enable(account.id)
    assert [row.id > last for row in await world.store.revocations.since(last)] == [True]
