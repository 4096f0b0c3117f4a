"""Limits of guesses, mails and registrations: both sides of each number, and what nobody can do to somebody else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from harness.redis import Server, Way

from gateway.errors import RequestRejected
from gateway.identity.limits import DAY, HOUR, MINUTE, Brake
from gateway.identity.origin import Origin
from gateway.identity.throttle import Ticket

from .throttled import HOME, Make, World, wait


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Worlds whose counters are in this process, and in Redis."""
    if request.param == "memory":
        yield World
        return
    server: Server = request.getfixturevalue("redis_server")
    async with Way(server.url) as way:
        yield partial(World, way=way)


@pytest.fixture
def world(make: Make) -> World:
    return make()


def of_site(number: int) -> Origin:
    """Another /64 of the same /48 each time."""
    return Origin(f"2001:db8:1:{number:x}::1")


Use = Callable[[int], Awaitable[object]]


def uses(world: World) -> dict[str, tuple[int, float, Use]]:
    """Each limit: how many, in how many seconds, and the n-th use, which touches no other limit."""
    throttle = world.throttle
    return {
        "guesses of a network": (30, MINUTE, lambda n: throttle.guess(HOME, f"account {n}")),
        "guesses of a network at nobody": (30, MINUTE, lambda n: throttle.guess(HOME, None)),
        "guesses of a network at an account": (5, MINUTE, lambda n: throttle.guess(HOME, "ann")),
        "guesses of a network at an unknown": (5, MINUTE, lambda n: throttle.guess(HOME, None, "x@example.com")),
        "mails to an address": (3, 15 * MINUTE, lambda n: throttle.mail(world.elsewhere(), "ann@example.com")),
        "mails of a network": (10, HOUR, lambda n: throttle.mail(HOME, f"{n}@example.com")),
        "mails of all": (100, HOUR, lambda n: throttle.mail(world.elsewhere(), f"{n}@example.com")),
        "registrations of a network": (5, HOUR, lambda n: throttle.registration(HOME)),
        "vain openings of a network": (30, MINUTE, lambda n: throttle.opened(HOME, "invitation_refused")),
        "vain openings of a site": (300, MINUTE, lambda n: throttle.opened(of_site(n), "invitation_refused")),
        "guesses of a site": (300, MINUTE, lambda n: throttle.guess(of_site(n), None)),
        "mails of a site": (30, HOUR, lambda n: throttle.mail(of_site(n), f"{n}@example.com")),
        "registrations of a site": (20, HOUR, lambda n: throttle.registration(of_site(n))),
    }


LIMITS = sorted(uses(World()))


@pytest.mark.parametrize("name", LIMITS)
async def test_as_many_as_the_limit_pass_and_one_more_does_not(world: World, name: str) -> None:
    """And the refusal says when the first one will have left the window."""
    limit, seconds, use = uses(world)[name]
    for n in range(limit):
        await use(n)
    world.now += 10
    assert await wait(use(limit)) == seconds - 10


@pytest.mark.parametrize("name", LIMITS)
async def test_there_is_room_again_after_retry_after_and_not_before(world: World, name: str) -> None:
    """The window slides."""
    limit, seconds, use = uses(world)[name]
    for n in range(limit):
        await use(n)
    world.now += seconds - 0.25
    assert await wait(use(limit)) == 1
    world.now += 0.25
    await use(limit)


async def test_a_refused_guess_is_not_counted(world: World) -> None:
    """Or whoever keeps asking would wait for ever."""
    for _ in range(5):
        await world.guess()
    world.now += 30
    for _ in range(50):
        await wait(world.guess())
    world.now += 30
    await world.guess()


async def test_vain_openings_of_links_are_no_guesses(world: World) -> None:
    """Nobody is kept from logging in by them."""
    for _ in range(30):
        await world.throttle.opened(HOME, "invitation_refused")
    await wait(world.throttle.opened(HOME, "invitation_refused"))
    await world.guess()


async def test_a_refused_mail_leaves_the_other_limits_alone(world: World) -> None:
    """All of its counts are reserved, or none."""
    for _ in range(3):
        await world.throttle.mail(world.elsewhere(), "ann@example.com")
    for _ in range(50):
        await wait(world.throttle.mail(HOME, "ann@example.com"))
    await world.throttle.mail(HOME, "bob@example.com")


@pytest.mark.parametrize(("before", "passes"), [(19, True), (20, False)])
async def test_twenty_guesses_an_hour_of_a_network_at_an_account(world: World, before: int, passes: bool) -> None:
    """Also when each minute has fewer than five. It is a known network, so that the account's own limit is not met."""
    await (await world.guess()).succeeded()
    for _ in range(before):
        await world.guess()
        world.now += MINUTE
    if passes:
        await world.guess()
    else:
        assert await wait(world.guess()) == HOUR - 20 * MINUTE


async def test_two_hundred_guesses_at_once_are_two_hundred(world: World) -> None:
    """Five get through, whatever the others wait for."""
    found = await asyncio.gather(*(world.guess() for _ in range(200)), return_exceptions=True)
    assert sum(isinstance(one, Ticket) for one in found) == 5


async def test_two_hundred_guesses_at_once_from_everywhere_are_two_hundred(world: World) -> None:
    """Ten, and the one that begins the gaps."""
    found = await asyncio.gather(*(world.guess(world.elsewhere()) for _ in range(200)), return_exceptions=True)
    assert sum(isinstance(one, Ticket) for one in found) == 10


async def test_the_guesses_of_an_ipv6_subscriber_count_together(world: World) -> None:
    """All of a /64 is one person's."""
    for n in range(5):
        await world.guess(Origin(f"2001:db8::{n}"))
    await wait(world.guess(Origin("2001:db8::ffff")))


async def test_what_succeeds_is_given_back(world: World) -> None:
    """A network logs in as often as it likes."""
    for n in range(100):
        await (await world.guess(account=f"account {n}")).succeeded()


async def test_what_passes_is_given_back(world: World) -> None:
    """A first step of two as well."""
    for _ in range(100):
        await (await world.guess()).passed()


async def test_a_success_forgets_the_failures_of_its_network_at_its_account(world: World) -> None:
    """Four mistakes, and five more."""
    for _ in range(4):
        await world.guess()
    await (await world.guess()).succeeded()
    for _ in range(5):
        await world.guess()


async def test_a_first_step_of_two_forgets_no_failure(world: World) -> None:
    """Or a stolen password would allow any number of guesses at the second factor."""
    for _ in range(4):
        await (await world.guess()).passed()
        await world.guess()
    await (await world.guess()).passed()
    await world.guess()
    await wait(world.guess())


async def test_a_success_does_not_forget_the_failures_of_its_network_at_others(world: World) -> None:
    """Or an attacker would log in to an account of his own between the guesses."""
    for n in range(29):
        await world.guess(account=f"account {n}")
    await (await world.guess(account="mine")).succeeded()
    await world.guess()
    await wait(world.guess(account="mine"))


async def test_a_success_forgets_the_failures_of_the_account(world: World) -> None:
    """Ten from elsewhere, and its own."""
    await world.fail(9)
    await (await world.guess()).succeeded()
    await world.fail(10)


async def test_a_success_at_one_account_does_not_forget_those_of_another(world: World) -> None:
    """Bob's login tells nothing of ann's."""
    await world.fail(10)
    await (await world.guess(account="bob")).succeeded()
    await wait(world.guess(world.elsewhere()))


async def test_another_account_is_not_slowed(world: World) -> None:
    """Nor an unknown one."""
    await world.fail(10)
    await world.guess(account="bob")
    await world.guess(account=None, handle="ann@example.com")


@pytest.mark.parametrize("account", ["ann", None])
async def test_ten_failures_pass_and_then_there_is_a_gap(world: World, account: str | None) -> None:
    """A second at first; for an address that nobody has as well."""
    await world.fail(10, account, "ann@example.com")
    assert await wait(world.guess(world.elsewhere(), account, "ann@example.com")) == 1
    world.now += 1
    await world.guess(world.elsewhere(), account, "ann@example.com")


async def test_the_gap_doubles_up_to_fifteen_minutes(world: World) -> None:
    """Never more: the account is not locked."""
    await world.fail(10)
    gaps = []
    for _ in range(12):
        gaps.append(await wait(world.guess(world.elsewhere())))
        world.now += gaps[-1]
        await world.guess(world.elsewhere())
    assert gaps == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_the_gap_stays_while_the_guesses_go_on(world: World) -> None:
    """Over a day an attacker with any number of networks gets about a hundred."""
    await world.fail(10)
    began, count = world.now, 10
    while world.now < began + DAY:
        world.now += await wait(world.guess(world.elsewhere()))
        await world.guess(world.elsewhere())
        count += 1
    assert 96 <= count <= 120


@pytest.mark.parametrize(("age", "passes"), [(15 * MINUTE, True), (15 * MINUTE - 0.25, False)])
async def test_failures_are_forgotten_after_fifteen_minutes(world: World, age: float, passes: bool) -> None:
    """As long as there was no gap yet. The eleventh comes in the tenth's last second."""
    await world.fail(1)
    world.now += age - 0.25
    await world.fail(9)
    world.now += 0.25
    if passes:
        await world.guess(world.elsewhere())
    else:
        assert await wait(world.guess(world.elsewhere())) == 1


async def test_a_doubling_is_forgotten_after_four_hours(world: World) -> None:
    """Then ten pass again."""
    await world.slow(3)
    world.now += 4 * HOUR
    await world.fail(10)


async def test_a_doubling_is_kept_for_four_hours(world: World) -> None:
    """After a rest one guess passes; it doubles the gap that the last one left."""
    await world.slow(1)
    world.now += 4 * HOUR - 1
    await world.guess(world.elsewhere())
    assert await wait(world.guess(world.elsewhere())) == 4


def test_a_gap_has_a_longest_whatever_the_number() -> None:
    """No overflow either."""
    assert Brake(1.0, 900.0, 1.0).gap(100_000) == 900.0


async def test_nobody_can_slow_down_a_known_network(world: World) -> None:
    """Where ann has logged in from, she still can, whoever guesses elsewhere."""
    await (await world.guess()).succeeded()
    await world.slow(5)
    await world.guess()
    await wait(world.guess(world.elsewhere()))


async def test_a_known_network_has_a_limit_of_its_own(world: World) -> None:
    """A thief in the house guesses no faster."""
    await (await world.guess()).succeeded()
    for _ in range(5):
        await world.guess()
    await wait(world.guess())


async def test_a_login_from_a_known_network_does_not_free_the_others(world: World) -> None:
    """An attacker elsewhere would only have to wait for it."""
    await (await world.guess()).succeeded()
    await world.slow(5)
    await (await world.guess()).succeeded()
    assert await wait(world.guess(world.elsewhere())) == 32


async def test_a_network_is_known_to_one_account_only(world: World) -> None:
    """Bob's home is no way into ann's account."""
    await (await world.guess(account="bob")).succeeded()
    await world.fail(10)
    await wait(world.guess())


async def test_a_first_step_of_two_makes_no_network_known(world: World) -> None:
    """A stolen password is not yet a login."""
    await (await world.guess()).passed()
    await world.fail(10)
    await wait(world.guess())


@pytest.mark.parametrize(("age", "known"), [(30 * DAY - 1, True), (30 * DAY, False)])
async def test_a_network_is_known_for_thirty_days(world: World, age: float, known: bool) -> None:
    """Since the last login there."""
    await (await world.guess()).succeeded()
    world.now += age
    assert await world.counters.knows("id:ann", HOME.network) is known


async def flood(world: World) -> int:
    """Guesses at nobody, each with another name and from another network, until one is refused: the retry_after."""
    try:
        for n in range(1000):
            await world.guess(world.elsewhere(), None, f"{n}@example.com")
    except RequestRejected as refused:
        return refused.retry_after or 0
    raise AssertionError("never full")


async def test_a_flood_of_keys_is_refused(make: Make) -> None:
    """Memory is bounded: three keys a guess."""
    world = make(max_keys=30, spare_keys=0)
    assert await flood(world) == 60
    assert await world.held() == 30


async def test_a_flood_of_keys_pushes_out_no_failure(make: Make) -> None:
    """The five are still known after it."""
    world = make(max_keys=30, spare_keys=0)
    for _ in range(5):
        await world.guess()
    world.now += 10
    await flood(world)
    assert await wait(world.guess()) == 50


async def test_a_flood_of_keys_does_not_keep_out_a_known_network(make: Make) -> None:
    """Some room is theirs."""
    world = make(max_keys=30, spare_keys=3)
    await (await world.guess()).succeeded()
    await flood(world)
    await world.guess()


async def test_after_a_flood_there_is_room_again(make: Make) -> None:
    """Once the keys are dead, new ones sweep them out."""
    world = make(max_keys=30, spare_keys=0)
    await flood(world)
    world.now += HOUR
    await world.guess()
    assert await world.held() == 3


async def test_a_login_leaves_no_key_behind(world: World) -> None:
    """Only failures take room."""
    await (await world.guess()).succeeded()
    assert await world.held() == 0


async def test_a_name_may_be_anything(world: World) -> None:
    """Also half of a surrogate pair, which JSON can hold."""
    await world.guess(account=None, handle="\ud800" * 100_000)
    assert await world.held() == 3
