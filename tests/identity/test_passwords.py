"""Passwords: what is accepted, what matches, and what happens when there are too many at once."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.passwords import NICE, QUEUE, Passwords


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    found = Passwords(threads=1)
    yield found
    found.close()


async def test_the_right_password_matches_its_hash(passwords: Passwords) -> None:
    """And it alone."""
    phc = await passwords.hash("correct horse")
    assert await passwords.verify(phc, "correct horse")
    assert not await passwords.verify(phc, "correct horsf")


async def test_the_hash_has_the_parameters_of_owasp(passwords: Passwords) -> None:
    """argon2id, 19 MiB, two passes, one lane."""
    assert (await passwords.hash("correct horse")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_two_hashes_of_a_password_differ(passwords: Passwords) -> None:
    """Each has its own salt."""
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_composed_and_decomposed_letters_are_the_same(passwords: Passwords) -> None:
    """Another keyboard must not lock anybody out."""
    assert await passwords.verify(await passwords.hash("caf\u00e9 caf\u00e9"), "cafe\u0301 cafe\u0301")


@pytest.mark.parametrize("length", [8, 128])
async def test_a_length_at_a_bound_is_taken(passwords: Passwords, length: int) -> None:
    """Counted in characters, not in bytes."""
    assert await passwords.verify(await passwords.hash("é" * length), "é" * length)


@pytest.mark.parametrize("length", [0, 7, 129])
async def test_a_length_out_of_bounds_is_refused(passwords: Passwords, length: int) -> None:
    """Too short to be safe, or long enough to be an attack."""
    with pytest.raises(RequestRejected, match="8 to 128"):
        await passwords.hash("é" * length)


async def test_a_longer_password_does_not_match(passwords: Passwords) -> None:
    """What is cut off is not forgotten."""
    assert not await passwords.verify(await passwords.hash("x" * 128), "x" * 129)


async def test_no_account_takes_no_password(passwords: Passwords) -> None:
    """The decoy is hashed and the answer is no."""
    assert not await passwords.verify(None, "correct horse")


async def test_half_a_surrogate_pair_is_a_wrong_password(passwords: Passwords) -> None:
    """JSON can carry one; it is not an error of ours."""
    assert not await passwords.verify(await passwords.hash("correct horse"), "correct \ud800")


async def test_a_broken_stored_hash_is_our_fault(passwords: Passwords) -> None:
    """Never a wrong password."""
    with pytest.raises(DependencyFailed):
        await passwords.verify("not a hash", "correct horse")


async def test_other_parameters_ask_for_a_new_hash(passwords: Passwords) -> None:
    """A hash of today does not, one with less memory does."""
    phc = await passwords.hash("correct horse")
    assert not passwords.needs_rehash(phc)
    assert passwords.needs_rehash(phc.replace("m=19456", "m=8192"))


async def test_too_many_at_once_are_refused(passwords: Passwords) -> None:
    """One runs, sixteen wait, the next one is told to come back; afterwards there is room again."""
    calls = [passwords.verify(None, "correct horse") for _ in range(QUEUE + 2)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, DependencyFailed)]
    assert [(answer.code, answer.retry_after) for answer in refused] == [("overloaded", 1)]
    assert not await passwords.verify(None, "correct horse")


async def test_what_is_under_way_is_told() -> None:
    """One runs, two wait, and each that is over has taken its time, with its wait."""
    took: list[float] = []
    passwords = Passwords(threads=1, took=took.append)
    calls = [asyncio.ensure_future(passwords.verify(None, "correct horse")) for _ in range(3)]
    await asyncio.sleep(0)
    assert passwords.usage() == {"busy": 1, "waiting": 2}
    await asyncio.gather(*calls)
    passwords.close()
    assert passwords.usage() == {"busy": 0, "waiting": 0}
    assert len(took) == 3
    assert 0 < took[0] < took[2]


async def test_what_cannot_begin_is_not_under_way() -> None:
    """A gateway that stops has no threads any more: no place is taken for good."""
    passwords = Passwords(threads=1)
    passwords.close()
    for _ in range(QUEUE + 2):
        with pytest.raises(RuntimeError):
            await passwords.verify(None, "correct horse")
    assert (passwords.usage(), passwords.rejected) == ({"busy": 0, "waiting": 0}, 0)


async def test_those_who_are_turned_away_are_counted(passwords: Passwords) -> None:
    """And have not waited."""
    calls = [passwords.verify(None, "correct horse") for _ in range(QUEUE + 3)]
    await asyncio.gather(*calls, return_exceptions=True)
    assert passwords.rejected == 2


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own there")
async def test_hashing_gives_way_to_requests(passwords: Passwords) -> None:
    """Two hundred logins at once must not hold up those who do not log in: what hashes has a lower priority."""
    before = {thread.native_id for thread in threading.enumerate()}
    await passwords.hash("correct horse")
    hashing = [thread.native_id for thread in threading.enumerate() if thread.native_id not in before]
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert [os.getpriority(os.PRIO_PROCESS, number or 0) for number in hashing] == [min(own + NICE, 19)]
