"""Passwords: what is accepted, what matches, and what happens when there are too many at once."""

import asyncio
import ctypes
import os
import struct
import sys
import threading
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.passwords import QUEUE, Passwords
from gateway.identity.priority import NICE, TIME_SLICE


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


@pytest.fixture
async def hashing(passwords: Passwords) -> list[int]:
    """The threads that have begun with a first hash."""
    if sys.platform != "linux":
        pytest.skip("threads have no priority of their own there")
    before = {thread.native_id for thread in threading.enumerate()}
    await passwords.hash("correct horse")
    return [thread.native_id or 0 for thread in threading.enumerate() if thread.native_id not in before]


async def test_a_thread_for_each_core_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """More would hold each other up, and the event loop with them: a thread that is to go on for it waits its turn."""
    if sys.platform != "linux":
        pytest.skip("a process has all cores there")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    passwords = Passwords()
    calls = [asyncio.ensure_future(passwords.verify(None, "correct horse")) for _ in range(3)]
    await asyncio.sleep(0)
    assert passwords.usage() == {"busy": 1, "waiting": 2}
    await asyncio.gather(*calls)
    passwords.close()


async def test_hashing_gives_way_to_requests(hashing: list[int]) -> None:
    """Two hundred logins at once must not hold up those who do not log in: what hashes has a lower priority."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert [os.getpriority(os.PRIO_PROCESS, number) for number in hashing] == [min(own + NICE, 19)]


async def test_a_hash_does_not_keep_its_core(hashing: list[int]) -> None:
    """Since Linux 6.6 a thread that wakes up may wait for the end of a time slice, but not for that of a longer one."""
    if not time_slice(0):
        pytest.skip("NOT TESTED: before Linux 6.12 time slices are of one length")
    assert [time_slice(number) for number in hashing] == [round(TIME_SLICE * 1e9)]
    assert time_slice(0) < TIME_SLICE * 1e9


async def test_where_nothing_may_be_changed_passwords_are_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a system refuses, in whatever way, is no reason to let nobody log in."""
    monkeypatch.setattr(os, "setpriority", Mock(side_effect=PermissionError))
    monkeypatch.setattr(ctypes, "CDLL", Mock(side_effect=AttributeError))
    passwords = Passwords(threads=1)
    assert await passwords.verify(await passwords.hash("correct horse"), "correct horse")
    passwords.close()


def time_slice(thread: int) -> int:
    """Nanoseconds, as sched_getattr(2) tells them; 0 where the system does not."""
    number = {"x86_64": 315, "aarch64": 275, "riscv64": 275}.get(os.uname().machine)
    told = ctypes.create_string_buffer(48)
    if number is None or sys.maxsize < 1 << 32 or ctypes.CDLL(None).syscall(number, thread, told, len(told), 0):
        return 0
    return int(struct.unpack_from("=Q", told, 24)[0])
