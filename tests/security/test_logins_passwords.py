"""Passwords as logins use them: what costs a hash, whose fault counts, how many wrong ones in a row there may be."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from identity.core.world import ADA, BOB, HERE, PASSWORD, Core, outcome, wrong_code

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.origin import Origin
from gateway.identity.passwords import Passwords
from gateway.identity.people import MAX_FAILURES
from gateway.identity.throttle import Throttle

NEW = "another horse battery"
WRONG = "wrong horse battery"
OFFICE = Origin("203.0.113.77")


# the hashes


async def test_a_reset_without_a_right_code_costs_no_hash(core: Core) -> None:
    """It is 50 ms of a core: of somebody who asked for a code, of somebody who did not, and of nobody."""
    code, before = await core.reset_code(), core.passwords.hashed
    for who, typed in ((ADA, wrong_code(code)), (BOB, code), ("nobody@example.org", code), (ADA, "１２３４５６")):
        await outcome(core.logins.reset_password(who, typed, NEW, HERE))
    assert core.passwords.hashed == before


async def test_a_reset_with_the_right_code_costs_one_hash(core: Core) -> None:
    """The other side."""
    code, before = await core.reset_code(), core.passwords.hashed
    await core.logins.reset_password(ADA, code, NEW, HERE)
    assert core.passwords.hashed == before + 1


async def test_a_new_password_that_is_none_costs_no_try(core: Core) -> None:
    """It is looked at before the code is."""
    await core.reset_code()
    await outcome(core.logins.reset_password(ADA, "000000", "short", HERE))
    assert await core.rows("SELECT tries_left FROM challenge") == [(5,)]


@contextmanager
def busy(passwords: Passwords) -> Iterator[None]:
    """As many hashes are under way as may be."""
    taken = 0
    while passwords._room.acquire(blocking=False):
        taken += 1
    try:
        yield
    finally:
        passwords._room.release(taken)


async def left(core: Core) -> list[str]:
    """What becomes of six wrong passwords."""
    return [await outcome(core.logins.password(ADA, WRONG, OFFICE)) for _ in range(6)]


async def test_a_login_that_we_could_not_look_at_is_no_guess(limited: Core) -> None:
    """However often: afterwards all five of a minute are left."""
    with busy(limited.passwords):
        for _ in range(40):
            with pytest.raises(DependencyFailed, match="overloaded"):
                await limited.logins.password(ADA, PASSWORD, OFFICE)
    assert await left(limited) == ["code_wrong"] * 5 + ["too_many_attempts"]


async def test_a_change_that_we_could_not_look_at_is_no_guess(limited: Core) -> None:
    """It asks for the current password."""
    caller = await limited.caller((await limited.logins.password(ADA, PASSWORD, HERE)).token)
    with busy(limited.passwords):
        for _ in range(40):
            with pytest.raises(DependencyFailed, match="overloaded"):
                await limited.logins.change_password(caller, PASSWORD, NEW, OFFICE)
    assert await left(limited) == ["code_wrong"] * 5 + ["too_many_attempts"]


async def test_a_reset_that_we_could_not_hash_leaves_its_code(limited: Core) -> None:
    """It was right, and is right a moment later."""
    code = await limited.reset_code()
    with busy(limited.passwords), pytest.raises(DependencyFailed, match="overloaded"):
        await limited.logins.reset_password(ADA, code, NEW, HERE)
    assert await outcome(limited.logins.reset_password(ADA, code, NEW, HERE)) == "ok"


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (DependencyFailed("overloaded"), 5),
        (DependencyFailed("store_unavailable"), 5),
        (RequestRejected("code_wrong"), 4),
        (asyncio.CancelledError(), 4),
        (ValueError(), 4),
    ],
    ids=repr,
)
async def test_only_a_failure_of_ours_is_given_back(error: BaseException, left: int) -> None:
    """Whoever hangs up has guessed all the same."""
    throttle = Throttle(Clock(monotonic=lambda: 0.0))
    with pytest.raises(type(error)):
        async with await throttle.guess(HERE, "ann"):
            raise error
    found = [await outcome(throttle.guess(HERE, "ann")) for _ in range(left + 1)]
    assert found == ["ok"] * left + ["too_many_attempts"]


# wrong passwords in a row


async def guessed(core: Core, times: int) -> None:
    account = await core.account()
    for _ in range(times):
        await core.store.changes().accounts.guessed(account.id, right=False)


@pytest.mark.parametrize(("wrong", "found"), [(MAX_FAILURES - 1, "ok"), (MAX_FAILURES, "code_wrong")])
async def test_after_a_hundred_wrong_passwords_even_the_right_one_is(core: Core, wrong: int, found: str) -> None:
    """NIST SP 800-63B section 3.2.2: no more than 100 in a row."""
    await guessed(core, wrong)
    assert await outcome(core.logins.password(ADA, PASSWORD, HERE)) == found


async def test_wrong_passwords_count_up_to_it(core: Core) -> None:
    """Those that were typed, not only those that the store was told of."""
    await guessed(core, MAX_FAILURES - 1)
    await outcome(core.logins.password(ADA, WRONG, HERE))
    assert await outcome(core.logins.password(ADA, PASSWORD, HERE)) == "code_wrong"


async def test_a_right_password_ends_the_row(core: Core) -> None:
    """A hundred over the years are none in a row."""
    await guessed(core, MAX_FAILURES - 1)
    await core.logins.password(ADA, PASSWORD, HERE)
    await guessed(core, MAX_FAILURES - 1)
    assert await outcome(core.logins.password(ADA, PASSWORD, HERE)) == "ok"


async def test_the_right_password_does_not_end_a_row_of_a_hundred(core: Core) -> None:
    """Typing it again and again is no way out."""
    await guessed(core, MAX_FAILURES)
    found = [await outcome(core.logins.password(ADA, PASSWORD, HERE)) for _ in range(3)]
    assert found == ["code_wrong"] * 3


async def test_a_reset_by_mail_opens_the_account_again(core: Core) -> None:
    """It proves the mailbox."""
    await guessed(core, MAX_FAILURES)
    await core.logins.reset_password(ADA, await core.reset_code(), NEW, HERE)
    assert await outcome(core.logins.password(ADA, NEW, HERE)) == "ok"


async def test_a_link_opens_it_meanwhile(core: Core) -> None:
    """The password alone is worn."""
    await guessed(core, MAX_FAILURES)
    assert await outcome(core.logins.claim_link(await core.link(), HERE)) == "ok"


async def test_wrong_passwords_of_ada_are_none_of_bob_s(core: Core) -> None:
    """Each has a row of their own."""
    await guessed(core, MAX_FAILURES)
    assert await outcome(core.logins.password(BOB, PASSWORD, HERE)) == "ok"
