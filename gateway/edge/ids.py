"""Random names of requests and of traces, made in hundreds from one read of the system's random bytes."""

import os
from binascii import hexlify
from typing import Final

from gateway.wire.trace import IDS

_MADE: Final = 256  # at once


class Ids:
    """On the measured path, where it is compiled."""

    __slots__ = ("_requests", "_traces")

    def __init__(self) -> None:
        self._requests: list[bytes] = []
        self._traces: list[bytes] = []

    def request(self) -> bytes:
        """A request id: a random UUID, version 4 (RFC 9562), as ASCII."""
        if not self._requests:
            self._requests = _uuids()
        return self._requests.pop()

    def trace(self) -> bytes:
        """Random digits for the ids of a trace and a span. That one of them is all zeros has a chance of 2**-64."""
        if not self._traces:
            digits = hexlify(os.urandom(IDS // 2 * _MADE))
            self._traces = [digits[at : at + IDS] for at in range(0, len(digits), IDS)]
        return self._traces.pop()


def _uuids() -> list[bytes]:
    """Those made together share their first 60 random bits; the other 62 are each one's own."""
    shared, digits = hexlify(os.urandom(8)), hexlify(os.urandom(8 * _MADE))
    first = b"%b-%b-4%b-" % (shared[:8], shared[8:12], shared[12:15])
    return [
        b"%b%b%b-%b" % (first, _VARIANT[digits[at]], digits[at + 1 : at + 4], digits[at + 4 : at + 16])
        for at in range(0, len(digits), 16)
    ]


_VARIANT: Final = {digit: b"89ab"[place & 3 : (place & 3) + 1] for place, digit in enumerate(b"0123456789abcdef")}
