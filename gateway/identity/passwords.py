"""Passwords: argon2id, in threads. The parameters are OWASP's: 19 MiB, two passes, one lane (about 50 ms)."""

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import DependencyFailed, RequestRejected

T = TypeVar("T")

# NIST SP 800-63B section 3.1.1.2 asks for at least 8 and at least 64 to be allowed; counted in characters
MIN_LENGTH, MAX_LENGTH = 8, 128
QUEUE = 16  # hashes that may wait per thread: 0.8 s of work

# of a password that nobody knows, with the parameters below: checked when there is no account, so that it takes as long
_DECOY = "$argon2id$v=19$m=19456,t=2,p=1$TTGe2ePd12hpC/ykP6q8Mg$KfmBiPHbkN/7I08XzMKSstkV2OnuxeCI+AK3IYgObUY"


class Passwords:
    """threads: how many hashes run at once; None = one per core."""

    def __init__(self, threads: int | None = None) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        count = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="argon2")
        self._room = BoundedSemaphore(count * (1 + QUEUE))

    async def hash(self, password: str) -> str:
        """The PHC string. Raises RequestRejected("invalid_value") and DependencyFailed("overloaded")."""
        normal = self.check(password)
        return await self._run(lambda: self._hasher.hash(encode(normal)))

    def check(self, password: str) -> str:
        """The password in normal form, if it may be one. Raises RequestRejected("invalid_value")."""
        normal = unicodedata.normalize("NFC", password)
        if not MIN_LENGTH <= len(normal) <= MAX_LENGTH:
            raise RequestRejected("invalid_value", f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters")
        return normal

    async def verify(self, phc: str | None, password: str) -> bool:
        """Whether `password` is the one behind `phc`. None, for no such account, takes as long and is False.

        Raises DependencyFailed: "overloaded", or "internal_error" when `phc` is no PHC string.
        """
        # nothing longer was ever stored; what is over is cut off, so that it cannot cost more either
        normal = unicodedata.normalize("NFC", password[: 4 * MAX_LENGTH])[: MAX_LENGTH + 1]
        good = await self._run(lambda: self._matches(phc or _DECOY, encode(normal)))
        return good and phc is not None

    def needs_rehash(self, phc: str) -> bool:
        """Whether `phc` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(phc)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, phc: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(phc, password)
        except InvalidHashError as error:
            raise DependencyFailed("internal_error", "a stored password is not readable") from error
        except VerificationError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            raise DependencyFailed("overloaded", "too many passwords are being checked", 1)
        future = self._pool.submit(work)
        # by the hash, not by the caller: one that hung up has not freed the thread
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)


def encode(normal: str) -> bytes:
    # JSON can hold half of a surrogate pair, which has no UTF-8
    return normal.encode("utf-8", "surrogatepass")
