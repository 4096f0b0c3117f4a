"""Callers of one credential at once, and what else the cache keeps: counts, permits."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from inspect import CORO_CLOSED, getcoroutinestate

import pytest
from identity.forge import CLAIMS, ISSUER, NOW, token

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import Standing
from gateway.routes.model import AccessKind
from gateway.wire.credentials import Presented

from .caching import RS256, WRONG, refused
from .world import ALICE, EXTERNAL, GRANT, HOUR, World, route


async def test_callers_of_one_credential_share_one_verification() -> None:
    """However many arrive while it runs, the store is asked once."""
    world = World()
    presented = world.opaque()
    found = await asyncio.gather(*(world.authenticator.verify(presented, NOW) for _ in range(20)))
    assert len({id(verified) for verified in found}) == 1
    assert world.store.log.count("by_secret") == 1


async def test_callers_of_one_wrong_credential_are_all_refused() -> None:
    """A shared failure is everybody's."""
    world = World()
    found = await asyncio.gather(*(world.authenticator.verify(WRONG, NOW) for _ in range(3)), return_exceptions=True)
    assert [getattr(fault, "code", None) for fault in found] == ["invalid_credential"] * 3


async def test_a_caller_who_gives_up_does_not_end_the_verification() -> None:
    """S-26: a cancelled task is nobody else's failure."""
    world = World()
    presented = world.opaque()
    world.store.gate = asyncio.Event()
    first, second = (asyncio.create_task(world.authenticator.verify(presented, NOW)) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    world.store.gate.set()
    assert (await second).principal.grant_id == GRANT


async def test_a_verification_that_does_not_wait_costs_no_task() -> None:
    """The store mostly answers on the spot, on the stack of whoever asked."""
    world = World()
    seen: list[object] = []
    await world.authenticator.reload_keys()
    world.store.during = lambda: seen.append(asyncio.current_task())
    await world.authenticator.verify(world.opaque(), NOW)
    assert seen == [asyncio.current_task()]


async def test_a_verification_that_waits_goes_on_in_a_task_of_its_own() -> None:
    """What binds to the running task after the first wait, as a timeout does, is not bound to one of the callers."""
    world = World()
    seen: list[object] = []

    async def slow(digest: bytes) -> None:
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    world.store.by_secret = slow  # type: ignore[method-assign]
    await refused(world, world.opaque())
    assert seen not in ([], [asyncio.current_task()])


async def test_a_failure_while_a_verification_waits_reaches_it() -> None:
    """It is the verification that handles what it waited for, not its caller."""
    world = World()

    async def failing(digest: bytes) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, OSError())
        try:
            await future
        except OSError as error:
            raise DependencyFailed("store_unavailable") from error

    world.store.by_secret = failing  # type: ignore[method-assign]
    with pytest.raises(DependencyFailed, match="store_unavailable"):
        await world.authenticator.verify(world.opaque(), NOW)


async def test_closing_ends_what_is_being_verified() -> None:
    """No task is left behind."""
    world = World()
    world.store.gate = asyncio.Event()
    waiting = asyncio.create_task(world.authenticator.verify(world.opaque(), NOW))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await world.authenticator.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}


Waits = Coroutine[object, object, Standing | None]


async def closed_amid(world: World, waits: Callable[[], Waits]) -> Waits:
    """A verification that has begun to wait, closed before it goes on as a task. What it waits in is given back: to
    drop it would end it."""
    held, at_once = list[Waits](), world.store.by_secret

    def kept(digest: bytes) -> Waits:
        held.append(work := waits())
        return work

    world.store.by_secret = kept  # type: ignore[method-assign]
    waiting = asyncio.create_task(world.authenticator.verify(world.opaque(), NOW))
    await asyncio.sleep(0)
    await world.authenticator.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    world.store.by_secret = at_once  # type: ignore[method-assign]
    return held[0]


async def test_a_verification_that_is_closed_before_it_goes_on_as_a_task_ends_too() -> None:
    """Or what it holds is held for ever: where it is compiled, nothing ends because it is dropped."""
    ended = asyncio.Event()

    async def slow() -> Standing | None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return None

    held = await closed_amid(World(), slow)
    assert (ended.is_set(), getcoroutinestate(held)) == (True, CORO_CLOSED)


async def test_a_verification_that_does_not_end_when_told_to_is_waited_for_by_nobody() -> None:
    """What it waited in wants to wait once more: that is told, and the next caller's is verified anew."""
    world, told = World(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    async def stubborn() -> Standing | None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
        return None

    await closed_amid(world, stubborn)
    assert (await world.authenticator.verify(world.opaque(), NOW)).principal.account is not None
    assert [type(error) for error in told] == [RuntimeError]


async def test_what_happens_is_counted() -> None:
    """Plain integers for the metrics."""
    world = World()
    presented = world.session()
    world.authenticator.recall(presented, NOW)
    await world.authenticator.verify(presented, NOW)
    world.authenticator.recall(presented, NOW)
    await refused(world, WRONG)
    world.authenticator.recall(WRONG, NOW)
    counted = world.authenticator
    assert (counted.hits, counted.misses, counted.negative_hits) == (1, 1, 1)
    assert counted.outcomes == {"verified": 1, "invalid_credential": 1}


async def test_an_external_credential_outside_its_leeway_is_not_kept_beyond_exp() -> None:
    """S-34: within the leeway it is accepted, for as long as the leeway lasts and not longer."""
    world = World(replace(EXTERNAL, leeway=10.0))
    presented = Presented("jwt", token(RS256, claims={**CLAIMS, "exp": int(NOW) - 5}))
    assert (await world.authenticator.verify(presented, NOW)).until == NOW + 5
    assert await refused(world, presented, NOW + 5) == "expired_credential"


async def test_a_permit_is_remembered_with_the_credential() -> None:
    """The answer depends on nothing that changes before the entry dies."""
    world = World()
    verified = await world.authenticator.verify(world.session(), NOW)
    where = route(AccessKind.AUTHENTICATED)
    assert verified.permit(where, NOW) is verified.permit(where, NOW + 1)


async def test_a_remembered_permit_ends_with_the_credential() -> None:
    """Both sides of its expiry."""
    world = World()
    verified = await world.authenticator.verify(world.session(), NOW)
    where = route(AccessKind.AUTHENTICATED)
    assert verified.permit(where, NOW + HOUR - 1).route is where
    with pytest.raises(RequestRejected, match="expired_credential"):
        verified.permit(where, NOW + HOUR)


async def test_a_refused_permit_is_refused_again() -> None:
    """Only permits are remembered."""
    world = World()
    verified = await world.authenticator.verify(world.session(restricted=True), NOW)
    for _ in range(2):
        with pytest.raises(RequestRejected, match="mfa_required"):
            verified.permit(route(), NOW)


async def test_the_same_subject_of_the_same_issuer_is_the_linked_account() -> None:
    """A last look at the whole way: token, key set, link, principal."""
    world = World()
    world.store.standings[(ISSUER, "alice")] = Standing(ALICE, None)
    verified = await world.authenticator.verify(Presented("jwt", token(RS256)), NOW)
    assert verified.principal.account == ALICE
