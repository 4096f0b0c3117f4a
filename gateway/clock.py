"""Time and randomness as arguments, so that a test can hold them still."""

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

Between = Callable[[float, float], float]  # as `Clock.between`


@dataclass(frozen=True, slots=True)
class Clock:
    """now: seconds since the epoch, for `exp` and `expires_at`. monotonic: seconds, for deadlines and ages.

    token_bytes: n cryptographically random bytes.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    token_bytes: Callable[[int], bytes] = secrets.token_bytes

    def between(self, low: float, high: float) -> float:
        """A number that is any of these, as likely as another: what many workers do must not be at one instant."""
        return low + (high - low) * int.from_bytes(self.token_bytes(4)) / 2**32

    def uuid4(self) -> str:
        """A random UUID, version 4, hyphenated lower case (RFC 9562 section 5.4)."""
        return str(uuid.UUID(bytes=self.token_bytes(16), version=4))


BETWEEN: Between = Clock().between
