"""Many at once: whatever counts once counts once, whoever comes first."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.identity.origin import Origin

from .world import ADA, BOB, HERE, PASSWORD, STEP, App, Core, outcome, tally, wrong_code

pytestmark = pytest.mark.usefixtures("patient")

NEW = "another horse battery"


async def parallel(count: int, make: Callable[[int], Awaitable[object]]) -> dict[str, int]:
    """The outcomes of so many calls at once."""
    return tally(await asyncio.gather(*(outcome(make(number)) for number in range(count))))


def elsewhere(number: int) -> Origin:
    """Everybody from a network of their own."""
    return Origin(f"198.51.{number // 256}.{number % 256}")


async def test_fifty_claims_of_a_link_make_one_grant(core: Core) -> None:
    """All others are told what a stranger is told."""
    token = await core.link()
    found = await parallel(50, lambda _: core.logins.claim_link(token, HERE))
    assert (found, await core.count("grant_")) == ({"code_wrong": 49, "ok": 1}, 1)


async def test_fifty_claims_of_a_code_make_one_grant(core: Core) -> None:
    """Right ones spend tries as wrong ones do."""
    code = await core.code()
    found = await parallel(50, lambda _: core.logins.claim_code(ADA, code, HERE))
    assert (found, await core.count("grant_")) == ({"code_wrong": 49, "ok": 1}, 1)


async def test_a_link_and_its_code_make_one_grant_between_them(core: Core) -> None:
    """They are two ways to one challenge."""
    token = await core.link()
    shown = await core.logins.show_code(token)
    assert shown is not None
    ways = (
        lambda: core.logins.claim_link(token, HERE),
        lambda: core.logins.claim_code(ADA, shown[1], HERE),
    )
    found = await parallel(50, lambda number: ways[number % 2]())
    assert (found["ok"], await core.count("grant_")) == (1, 1)


async def test_fifty_first_logins_of_an_address_make_one_account(core: Core) -> None:
    """Where accounts come with their first login."""
    core = Core(core.store, core.hand, core.throttle, core.passwords, provision=True)
    before, token = await core.count("account"), await core.link("new@example.org")
    await parallel(50, lambda _: core.logins.claim_link(token, HERE))
    assert await core.count("account") == before + 1


async def test_fifty_times_the_same_totp_code_lift_one_session(core: Core) -> None:
    """Though each session waits for a code of its own."""
    app, _, _ = await core.enrolled()
    callers = [await core.caller((await core.logins.claim_link(await core.link(), HERE)).token) for _ in range(50)]
    code = app.code()
    found = await parallel(50, lambda number: core.logins.second_factor(callers[number], code, HERE))
    assert found == {"mfa_code_wrong": 49, "ok": 1}


async def test_fifty_times_the_same_recovery_code_lift_one_session(core: Core) -> None:
    """It is used up by the first."""
    _, recovery, _ = await core.enrolled()
    callers = [await core.caller((await core.logins.claim_link(await core.link(), HERE)).token) for _ in range(50)]
    found = await parallel(50, lambda number: core.logins.second_factor(callers[number], recovery[0], HERE))
    assert found == {"mfa_code_wrong": 49, "ok": 1}


async def test_a_totp_code_counts_once_between_all_that_take_one(core: Core) -> None:
    """S-44: logging in, new recovery codes, and the end of the factor."""
    app, _, session = await core.enrolled()
    waiting = await core.caller((await core.logins.password(ADA, PASSWORD, HERE)).token)
    code, account = app.code(), session.account
    ways = (
        lambda: core.logins.second_factor(waiting, code, HERE),
        lambda: core.factors.new_recovery_codes(account, code, HERE),
        lambda: core.factors.disable(account, code, session.grant.id, HERE),
    )
    found = await parallel(3, lambda number: ways[number]())
    assert found.get("ok", 0) == 1


async def test_a_session_is_lifted_once_by_two_good_codes(core: Core) -> None:
    """Its challenge ends with the first."""
    app, recovery, _ = await core.enrolled()
    caller = await core.caller((await core.logins.password(ADA, PASSWORD, HERE)).token)
    codes = (app.code(), recovery[0])
    found = await parallel(2, lambda number: core.logins.second_factor(caller, codes[number], HERE))
    assert found["ok"] == 1


async def test_fifty_confirmations_of_an_app_enable_it_once(core: Core) -> None:
    """Nobody is left with recovery codes that were replaced meanwhile."""
    session = await core.logins.password(ADA, PASSWORD, HERE)
    app = App(await core.factors.enable(session.account), core.hand)
    code = app.code()
    found = await parallel(50, lambda _: core.factors.confirm(session.account, code, session.grant.id, HERE))
    assert (found["ok"], await core.count("recovery_code")) == (1, 10)


async def test_the_recovery_codes_of_the_one_confirmation_are_those_that_count(core: Core) -> None:
    """All ten that were shown."""
    session = await core.logins.password(ADA, PASSWORD, HERE)
    app = App(await core.factors.enable(session.account), core.hand)
    tries = [core.factors.confirm(session.account, app.code(), session.grant.id, HERE) for _ in range(10)]
    (shown,) = [one for one in await asyncio.gather(*tries, return_exceptions=True) if isinstance(one, list)]
    assert [await outcome(core.factors.prove(session.account, code, HERE)) for code in shown] == ["ok"] * 10


async def test_two_hundred_wrong_codes_are_two_hundred_and_five_are_compared(core: Core) -> None:
    """S-45, without any limit but the challenge's own: the right code is of no use afterwards."""
    code = await core.code()
    found = await parallel(200, lambda _: core.logins.claim_code(ADA, wrong_code(code), HERE))
    left = await core.rows("SELECT tries_left FROM challenge WHERE address_key = :key", key=ADA)
    last = await outcome(core.logins.claim_code(ADA, code, HERE))
    assert (found, left, last) == ({"code_wrong": 200}, [(0,)], "code_wrong")


async def test_two_hundred_strangers_get_three_tries_between_them(core: Core) -> None:
    """The rest is for who asked for the code."""
    code = await core.code()
    await parallel(200, lambda number: core.logins.claim_code(ADA, wrong_code(code), elsewhere(number)))
    left = await core.rows("SELECT tries_left FROM challenge WHERE address_key = :key", key=ADA)
    found = [await outcome(core.logins.claim_code(ADA, code, where)) for where in (elsewhere(0), HERE)]
    assert (left, found) == ([(2,)], ["code_wrong", "ok"])


async def test_of_two_hundred_wrong_codes_of_one_network_five_are_looked_at(limited: Core) -> None:
    """The rest is told to wait, and spends no try."""
    code = await limited.code()
    found = await parallel(200, lambda _: limited.logins.claim_code(ADA, wrong_code(code), HERE))
    assert found == {"code_wrong": 5, "too_many_attempts": 195}


async def test_of_two_hundred_wrong_codes_of_as_many_networks_ten_are_looked_at(limited: Core) -> None:
    """They are all guesses at one account."""
    code = await limited.code()
    found = await parallel(200, lambda number: limited.logins.claim_code(ADA, wrong_code(code), elsewhere(number)))
    assert found == {"code_wrong": 10, "too_many_attempts": 190}


async def test_two_hundred_wrong_second_factors_are_two_hundred_and_five_are_compared(core: Core) -> None:
    """S-45: then the session waits in vain."""
    app, _, _ = await core.enrolled()
    caller = await core.caller((await core.logins.password(ADA, PASSWORD, HERE)).token)
    wrong = app.wrong()
    found = await parallel(200, lambda _: core.logins.second_factor(caller, wrong, HERE))
    last = await outcome(core.logins.second_factor(caller, app.code(), HERE))
    assert (found, last) == ({"code_wrong": 195, "mfa_code_wrong": 5}, "code_wrong")


async def test_two_hundred_wrong_reset_codes_are_two_hundred_and_five_are_compared(core: Core) -> None:
    """S-45: and the password stays."""
    code = await core.reset_code()
    wrong = wrong_code(code)
    await parallel(200, lambda _: core.logins.reset_password(ADA, wrong, NEW, HERE))
    assert await outcome(core.logins.reset_password(ADA, code, NEW, HERE)) == "code_wrong"
    assert await outcome(core.logins.password(ADA, PASSWORD, HERE)) == "ok"


async def test_fifty_resets_by_one_code_set_one_password(core: Core) -> None:
    """The others are refused, whatever they wanted."""
    code = await core.reset_code()
    found = await parallel(50, lambda number: core.logins.reset_password(ADA, code, f"{NEW} {number}", HERE))
    assert found == {"code_wrong": 49, "ok": 1}


async def test_new_tokens_of_one_moment_are_all_of_one_grant_each(core: Core) -> None:
    """Ten logins are ten grants."""
    for _ in range(10):
        await core.logins.password(ADA, PASSWORD, HERE)
    assert await core.count("grant_") == 10


async def test_people_who_log_in_by_password_at_once_all_get_in(core: Core) -> None:
    """One person's login does not end another's, nor a second one of the same person."""
    who = (ADA, BOB)
    found = await parallel(20, lambda number: core.logins.password(who[number % 2], PASSWORD, HERE))
    assert found == {"ok": 20}


async def test_a_mail_for_nobody_ends_no_login_by_password(core: Core) -> None:
    """A decoy takes nobody's place: a stranger could keep everybody out otherwise."""

    async def attempt(number: int) -> None:
        if number % 2:
            await core.logins.request_link(f"nobody-{number}@example.org", HERE)
        else:
            await core.logins.password(ADA, PASSWORD, HERE)

    assert await parallel(20, attempt) == {"ok": 20}


async def test_the_code_of_the_next_step_is_fresh(core: Core) -> None:
    """After fifty replays of the last one."""
    app, _, session = await core.enrolled()
    code = app.code()
    await parallel(50, lambda _: core.factors.prove(session.account, code, HERE))
    core.hand.at += STEP
    assert await outcome(core.factors.prove(session.account, app.code(), HERE)) == "ok"
