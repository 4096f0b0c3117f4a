"""Time and randomness as arguments, so that a test can hold them still."""

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """now: seconds since the epoch, for `exp` and `expires_at`. monotonic: seconds, for deadlines and ages.

    token_bytes: n cryptographically random bytes.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    token_bytes: Callable[[int], bytes] = secrets.token_bytes

    def uuid4(self) -> str:
        """A random UUID, version 4, hyphenated lower case (RFC 9562 section 5.4)."""
        return str(uuid.UUID(bytes=self.token_bytes(16), version=4))
