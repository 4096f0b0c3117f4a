"""Failures that every request meets while they last: one line in the log for each, not one for each request."""

import time
from collections.abc import Callable
from typing import Final

from gateway.errors import UPSTREAM_FAULTS, DependencyFailed
from gateway.ops.logs import Log

QUIET_SECONDS: Final = 30.0  # without one that failed: then the next is another outage

# Told elsewhere: the refresh of an issuer's keys and the pool of an upstream know when their outages begin and end.
_TOLD_ELSEWHERE: Final = UPSTREAM_FAULTS | {"keys_unavailable"}


class Outages:
    """monotonic: seconds."""

    def __init__(self, log: Log, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._monotonic = monotonic
        self._last: dict[str, float] = {}  # by code, of which there are a few

    def failed(self, fault: DependencyFailed) -> None:
        """A request met this. Its detail is for the operator; `wire.problems.told` keeps it from the client."""
        if not fault.detail or fault.code in _TOLD_ELSEWHERE:
            return
        now, last = self._monotonic(), self._last.get(fault.code)
        self._last[fault.code] = now
        if last is None or now - last >= QUIET_SECONDS:
            self._log.error("requests fail", code=fault.code, detail=fault.detail)
