"""What strangers cannot use up: tries, mails, hashes and patience of somebody else."""

from collections.abc import Awaitable, Callable

import pytest
from identity.core.world import ADA, BOB, HERE, PASSWORD, App, Core, outcome, wrong_code

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.limits import HOUR, MINUTE
from gateway.identity.origin import Origin
from gateway.identity.throttle import Throttle

NEW = "another horse battery"
WRONG = "wrong horse battery"
OFFICE = Origin("203.0.113.77")
SIX = Origin("2001:db8:1:2::3")


def elsewhere(number: int) -> Origin:
    """Everybody from a network of their own."""
    return Origin(f"198.51.{100 + number // 256}.{number % 256}")


# patience


async def storm(core: Core) -> None:
    """Sixty guesses at Ada, from as many networks."""
    for number in range(60):
        await outcome(core.logins.password(ADA, WRONG, elsewhere(number)))


async def _by_link(core: Core, origin: Origin) -> None:
    await core.letters()
    await core.logins.claim_link(await core.link(ADA, origin), origin)


async def _by_code(core: Core, origin: Origin) -> None:
    await core.logins.claim_code(ADA, await core.code(), origin)


@pytest.mark.parametrize("enter", [_by_link, _by_code])
async def test_after_a_login_by_mail_strangers_do_not_delay_its_network(
    limited: Core, enter: Callable[[Core, Origin], Awaitable[None]]
) -> None:
    """It is known from then on, as after one by password."""
    await enter(limited, OFFICE)
    await storm(limited)
    assert await outcome(limited.logins.password(ADA, PASSWORD, OFFICE)) == "ok"


async def test_without_a_login_there_strangers_do_delay_a_network(limited: Core) -> None:
    """The other side: the brake is on."""
    await _by_link(limited, HERE)
    await storm(limited)
    assert await outcome(limited.logins.password(ADA, PASSWORD, OFFICE)) == "too_many_attempts"


async def test_half_a_login_by_mail_makes_no_network_known(limited: Core) -> None:
    """Who reads the mails of somebody with a second factor is not in yet."""
    await limited.enrolled()
    await _by_link(limited, OFFICE)
    await storm(limited)
    assert await outcome(limited.logins.password(ADA, PASSWORD, OFFICE)) == "too_many_attempts"


async def test_a_second_factor_makes_its_network_known(limited: Core) -> None:
    """The whole login."""
    app, _, _ = await limited.enrolled()
    assert isinstance(app, App)
    session = await limited.logins.password(ADA, PASSWORD, OFFICE)
    await limited.logins.second_factor(await limited.caller(session.token), app.code(), OFFICE)
    await storm(limited)
    assert await outcome(limited.logins.password(ADA, PASSWORD, OFFICE)) == "ok"


async def test_a_login_by_mail_clears_the_mistakes_of_its_network(limited: Core) -> None:
    """Who has forgotten the password asks for a link, and may mistype five times more."""
    for _ in range(4):
        await outcome(limited.logins.password(ADA, WRONG, OFFICE))
    await _by_link(limited, OFFICE)
    found = [await outcome(limited.logins.password(ADA, WRONG, OFFICE)) for _ in range(5)]
    assert found == ["code_wrong"] * 5


# mails


async def test_strangers_do_not_use_up_the_mails_of_a_known_network(limited: Core) -> None:
    """Three of theirs, and three of hers."""
    await limited.logins.password(ADA, PASSWORD, OFFICE)
    theirs = [await outcome(limited.logins.request_link(ADA, elsewhere(number))) for number in range(4)]
    hers = [await outcome(limited.logins.request_link(ADA, OFFICE)) for _ in range(4)]
    assert (theirs, hers) == (["ok"] * 3 + ["too_many_attempts"],) * 2


async def test_a_network_that_bob_is_known_on_has_no_mails_of_ada_s(limited: Core) -> None:
    """Known to one account is known to that one."""
    await limited.logins.password(BOB, PASSWORD, OFFICE)
    for number in range(3):
        await outcome(limited.logins.request_link(ADA, elsewhere(number)))
    assert await outcome(limited.logins.request_link(ADA, OFFICE)) == "too_many_attempts"


async def test_mails_to_nobody_do_not_use_up_those_of_all(limited: Core) -> None:
    """They burden no mail server, and whoever makes them up could keep everybody from logging in."""
    for number in range(120):
        await limited.logins.request_link(f"nobody-{number}@example.org", elsewhere(number))
    assert await outcome(limited.logins.request_link(ADA, OFFICE)) == "ok"


async def mailed(throttle: Throttle, count: int, *, sent: bool) -> None:
    for number in range(count):
        await throttle.mail(elsewhere(number), f"{number}@example.org", sent=sent)


async def told(throttle: Throttle, *, sent: bool) -> tuple[str, int | None]:
    """How the next mail of somebody else is refused, and for how long."""
    try:
        await throttle.mail(OFFICE, f"{sent}@example.org", sent=sent)
    except RequestRejected as fault:
        return fault.code, fault.retry_after
    return "ok", None


async def test_decoys_and_mails_are_refused_alike_once_those_of_all_are_used_up() -> None:
    """The difference would tell who has an account."""
    throttle = Throttle(Clock(monotonic=lambda: 0.0))
    await mailed(throttle, 100, sent=True)
    found = await told(throttle, sent=True), await told(throttle, sent=False)
    assert found == (("too_many_attempts", HOUR), ("too_many_attempts", HOUR))


async def test_decoys_and_mails_pass_alike_before() -> None:
    """The other side: one is left."""
    throttle = Throttle(Clock(monotonic=lambda: 0.0))
    await mailed(throttle, 99, sent=True)
    assert (await told(throttle, sent=False), await told(throttle, sent=True)) == (("ok", None), ("ok", None))


async def test_a_known_network_gets_its_mail_when_those_of_all_are_used_up() -> None:
    """Or a hundred accounts' addresses would be enough to keep everybody out."""
    throttle = Throttle(Clock(monotonic=lambda: 0.0))
    await throttle.entered(OFFICE, "ann")
    await mailed(throttle, 100, sent=True)
    assert await outcome(throttle.mail(OFFICE, "ann@example.org", "ann")) == "ok"


# a site of IPv6 networks


async def of_site(throttle: Throttle, count: int) -> None:
    """As many guesses, each from a /64 of its own."""
    for number in range(count):
        await throttle.guess(Origin(f"2001:db8:1:{number:x}::1"), None)


@pytest.mark.parametrize(("before", "found"), [(299, "ok"), (300, "too_many_attempts")])
async def test_the_networks_of_one_ipv6_site_have_three_hundred_guesses_a_minute(before: int, found: str) -> None:
    """A customer has 65,536 of them."""
    throttle = Throttle(Clock(monotonic=lambda: 0.0))
    await of_site(throttle, before)
    assert await outcome(throttle.guess(Origin("2001:db8:1:ffff::1"), None)) == found


async def test_another_site_has_its_own() -> None:
    """The next /48."""
    throttle = Throttle(Clock(monotonic=lambda: 0.0))
    await of_site(throttle, 300)
    assert await outcome(throttle.guess(Origin("2001:db8:2:ffff::1"), None)) == "ok"


async def test_a_minute_later_the_site_may_go_on() -> None:
    """The window slides."""
    at = [0.0]
    throttle = Throttle(Clock(monotonic=lambda: at[0]))
    await of_site(throttle, 300)
    at[0] += MINUTE
    assert await outcome(throttle.guess(Origin("2001:db8:1:ffff::1"), None)) == "ok"


@pytest.mark.parametrize(
    ("address", "site"),
    [("2001:db8:1:2::3", "2001:db8:1::/48"), ("2001:db8:1:2::3%eth0", "2001:db8:1::/48"), ("192.0.2.1", ""),
     ("::ffff:192.0.2.1", ""), ("", ""), ("unix:", "")],
)  # fmt: skip
def test_only_an_ipv6_address_has_a_site(address: str, site: str) -> None:
    """One that stands for an IPv4 address is that one."""
    assert Origin(address).site == site


# the tries of a code


async def _typed(core: Core, code: str, origin: Origin) -> str:
    return await outcome(core.logins.claim_code(ADA, code, origin))


async def _reset(core: Core, code: str, origin: Origin) -> str:
    return await outcome(core.logins.reset_password(ADA, code, NEW, origin))


async def _asked(core: Core, way: str, origin: Origin = HERE) -> str:
    """The code of a mail that was asked for there."""
    if way == "reset":
        await core.logins.request_reset(ADA, origin)
        return (await core.letters())[-1].values["code"]
    shown = await core.logins.show_code(await core.link(ADA, origin))
    assert shown is not None
    return shown[1]


TYPE = {"login": _typed, "reset": _reset}


@pytest.mark.parametrize("way", TYPE)
@pytest.mark.parametrize(("own", "found"), [(1, "ok"), (2, "code_wrong")])
async def test_strangers_leave_two_tries_to_the_network_that_asked(core: Core, way: str, own: int, found: str) -> None:
    """However many they are: she may mistype once."""
    code = await _asked(core, way)
    for number in range(20):
        await TYPE[way](core, wrong_code(code), elsewhere(number))
    for _ in range(own):
        await TYPE[way](core, wrong_code(code), HERE)
    assert await TYPE[way](core, code, HERE) == found


@pytest.mark.parametrize("way", TYPE)
@pytest.mark.parametrize(("wrong", "found"), [(2, "ok"), (3, "code_wrong")])
async def test_strangers_have_three_tries(core: Core, way: str, wrong: int, found: str) -> None:
    """The third may be right: who reads the mail on a telephone is a stranger to the desk."""
    code = await _asked(core, way)
    for number in range(wrong):
        await TYPE[way](core, wrong_code(code), elsewhere(number))
    assert await TYPE[way](core, code, OFFICE) == found


@pytest.mark.parametrize("way", TYPE)
async def test_the_network_that_asked_has_all_five(core: Core, way: str) -> None:
    """Where no stranger comes in between."""
    code = await _asked(core, way)
    for _ in range(4):
        await TYPE[way](core, wrong_code(code), HERE)
    assert await TYPE[way](core, code, HERE) == "ok"


@pytest.mark.parametrize(("address", "found"), [("2001:db8:1:2:ffff::9", "ok"), ("2001:db8:1:3::3", "code_wrong")])
async def test_the_network_that_asked_is_a_subscriber_s(core: Core, address: str, found: str) -> None:
    """A /64: privacy extensions change the rest of an address within the hour (RFC 8981)."""
    code = await _asked(core, "login", SIX)
    for number in range(3):
        await _typed(core, wrong_code(code), elsewhere(number))
    assert await _typed(core, code, Origin(address)) == found
