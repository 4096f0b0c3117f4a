"""Passwords: argon2id, in threads. The parameters are OWASP's: 19 MiB, two passes, one lane (about 50 ms).

Hashes that another system made are read too, bcrypt's among them, until their holder logs in: then they are made anew.
Until then a wrong password takes as long as that system wanted it to, which tells that there is such an account.
"""

import asyncio
import base64
import binascii
import os
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore, Lock
from typing import TypeVar

import bcrypt
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity import weak
from gateway.identity.priority import give_way

T = TypeVar("T")

# NIST SP 800-63B section 3.1.1.2 asks for at least 8 and at least 64 to be allowed; counted in characters
MIN_LENGTH, MAX_LENGTH = 8, 128
UNREADABLE = "this is no hash of bcrypt, and no PHC string of argon2"
QUEUE = 16  # hashes that may wait per thread: 0.4 s of work

# of a password that nobody knows, with the parameters below: checked when there is no account, so that it takes as long
_DECOY = "$argon2id$v=19$m=19456,t=2,p=1$TTGe2ePd12hpC/ykP6q8Mg$KfmBiPHbkN/7I08XzMKSstkV2OnuxeCI+AK3IYgObUY"

_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
# with the version: without it, argon2 means 1.0, whose last writers are from 2016
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$v=19\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,9})"
    r"\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)
MAX_PART = 64  # bytes of a salt or digest; everybody has 8 to 32
BCRYPT_BYTES = 72  # of a password: bcrypt never read more
# of another system's hash: what takes longer than a second (bcrypt's 14 does just not), or more than 256 MiB, would let
# few logins keep all threads busy
MAX_BCRYPT_COST = 14
MAX_MEMORY, MAX_PASSES, MAX_LANES = 256 * 1024, 16, 16  # KiB; of argon2
MAX_WORK = 512 * 1024  # KiB times passes, which is what argon2's time grows with: half a second


class Passwords:
    """rejected: how many were turned away as too many waited."""

    def __init__(
        self,
        threads: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        took: Callable[[float], object] = lambda _: None,
    ) -> None:
        """threads: how many hashes run at once; None = one for each core that the process may use.

        took: told the seconds of each, with its wait.
        """
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        count = threads or _cores()
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="argon2", initializer=give_way)
        self._room = BoundedSemaphore(count * (1 + QUEUE))
        self._threads = count
        self._monotonic = monotonic
        self._took = took
        self._lock = Lock()  # around what a thread counts
        self._under_way = 0
        self.rejected = 0
        self._common: frozenset[str] | None = None  # read with the first password that is set

    async def hash(self, password: str, context: Iterable[str] = ()) -> str:
        """The PHC string of a new password. Raises as `check`, and DependencyFailed("overloaded")."""
        normal = self.check(password, context)
        return await self._run(lambda: self._hasher.hash(encode(normal)))

    async def rehash(self, password: str) -> str:
        """The PHC string of a password that was right, and need not be one that could be set today.

        Raises DependencyFailed("overloaded").
        """
        normal = _cut(password)
        return await self._run(lambda: self._hasher.hash(encode(normal)))

    def check(self, password: str, context: Iterable[str] = ()) -> str:
        """The password in normal form, if it may be one. Raises RequestRejected("invalid_value"), which says why not.

        context: what is known of whoever sets it (`weak.context_of`).
        """
        normal = unicodedata.normalize("NFC", password)
        if not MIN_LENGTH <= len(normal) <= MAX_LENGTH:
            raise RequestRejected("invalid_value", f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters")
        if weak.is_known(normal, context):
            raise RequestRejected("invalid_value", "a password is not a name or an address with digits after it")
        if self._common is None:
            self._common = weak.common()
        if normal.casefold() in self._common:
            raise RequestRejected("invalid_value", "this password is among the most common ones; take another")
        return normal

    async def imported(self, text: str) -> str:
        """A hash that another system made, if it can be read here: of bcrypt (`$2a$`, `$2b$`, `$2y$`), or a PHC string
        of argon2.

        Raises RequestRejected("invalid_value"), without the hash, also for one that takes too long.
        """
        require_affordable(text)
        if not await self._run(lambda: self._reads(text)):
            raise RequestRejected("invalid_value", UNREADABLE)
        return text

    async def verify(self, phc: str | None, password: str) -> bool:
        """Whether `password` is the one behind `phc`. None, for no such account, takes as long and is False.

        bcrypt gets what was typed, in no normal form: so did the system that made the hash.

        Raises DependencyFailed: "overloaded", or "internal_error" when `phc` is not readable.
        """
        raw = encode(password[: MAX_LENGTH + 1] if _is_bcrypt(phc) else _cut(password))
        good = await self._run(lambda: self._matches(phc or _DECOY, raw))
        return good and phc is not None

    def needs_rehash(self, phc: str) -> bool:
        """Whether `phc` was made with other parameters than today's, or by bcrypt."""
        return _is_bcrypt(phc) or self._hasher.check_needs_rehash(phc)

    def usage(self) -> dict[str, int]:
        """How many are being hashed, and wait for a thread."""
        busy = min(self._under_way, self._threads)
        return {"busy": busy, "waiting": self._under_way - busy}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, phc: str, password: bytes) -> bool:
        try:
            if _is_bcrypt(phc):
                return bcrypt.checkpw(password[:BCRYPT_BYTES], phc.encode())
            return self._hasher.verify(phc, password)
        except (InvalidHashError, ValueError) as error:
            raise DependencyFailed("internal_error", "a stored password is not readable") from error
        except VerificationError:
            return False

    def _reads(self, phc: str) -> bool:
        try:
            return _is_bcrypt(phc) or self._hasher.verify(phc, b"")
        except VerifyMismatchError:
            return True
        except (InvalidHashError, VerificationError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            self.rejected += 1
            raise DependencyFailed("overloaded", "too many passwords are being checked", 1)
        with self._lock:
            self._under_way += 1
        began = self._monotonic()
        try:
            future = self._pool.submit(work)
        except RuntimeError:  # the process ends; nothing was begun, and so nothing will end
            self._over(began)
            raise
        # by the hash, not by the caller: one that hung up has not freed the thread
        future.add_done_callback(lambda _: self._over(began))
        return await asyncio.wrap_future(future)

    def _over(self, began: float) -> None:
        """In its thread, where it has one."""
        self._room.release()
        with self._lock:
            self._under_way -= 1
            self._took(self._monotonic() - began)


def _cores() -> int:
    """More threads than that would wait for each other, and with them whoever waits for what one of them holds."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _cut(password: str) -> str:
    """In normal form. Nothing longer was ever stored; what is over is cut off, so that it cannot cost more either."""
    return unicodedata.normalize("NFC", password[: 4 * MAX_LENGTH])[: MAX_LENGTH + 1]


def _is_bcrypt(phc: str | None) -> bool:
    return phc is not None and _BCRYPT.fullmatch(phc) is not None


def require_affordable(text: str) -> None:
    """Raises RequestRejected("invalid_value") for a hash that takes too long, or is none."""
    bcrypted = _BCRYPT.fullmatch(text)
    if bcrypted and not 4 <= int(bcrypted[1]) <= MAX_BCRYPT_COST:
        raise RequestRejected("invalid_value", f"a bcrypt hash has a cost of 4 to {MAX_BCRYPT_COST}")
    if not bcrypted:
        _require_argon2(text)


def require_known(text: str) -> None:
    """The same without a trial, which of a hundred thousand hashes takes hours; so argon2's form is told exactly.

    Raises RequestRejected("invalid_value") for whatever `verify` could not read.
    """
    require_affordable(text)
    if _is_bcrypt(text):
        return
    found = _ARGON2.fullmatch(text)
    if found is None:
        raise RequestRejected("invalid_value", UNREADABLE)
    memory, passes, lanes, salt, digest = found.groups()
    # RFC 9106 section 3.1
    if int(passes) < 1 or int(lanes) < 1 or int(memory) < 8 * int(lanes):
        raise RequestRejected("invalid_value", UNREADABLE)
    if not (8 <= _bytes(salt) <= MAX_PART and 4 <= _bytes(digest) <= MAX_PART):
        raise RequestRejected("invalid_value", UNREADABLE)


def _bytes(text: str) -> int:
    """How many a part of a PHC string has; 0 when it is not base64, with no padding and no bit to spare."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return 0
    return len(raw) if base64.b64encode(raw).rstrip(b"=").decode() == text else 0


def _require_argon2(text: str) -> None:
    try:
        said = extract_parameters(text)
    except (InvalidHashError, ValueError) as error:
        raise RequestRejected("invalid_value", UNREADABLE) from error
    if said.memory_cost > MAX_MEMORY or said.time_cost > MAX_PASSES or said.parallelism > MAX_LANES:
        raise RequestRejected("invalid_value", "this hash takes too much time or memory to be checked at each login")
    if said.memory_cost * said.time_cost > MAX_WORK:
        why = f"m times t is more than {MAX_WORK}: this hash takes too much time to be checked at each login"
        raise RequestRejected("invalid_value", why)


def encode(normal: str) -> bytes:
    # JSON can hold half of a surrogate pair, which has no UTF-8
    return normal.encode("utf-8", "surrogatepass")
