"""How long the next start of a worker waits for."""

from typing import Final

FIRST_SECONDS: Final = 0.1
MOST_SECONDS: Final = 10.0  # what is queued on its socket waits that long
STEADY_SECONDS: Final = 10.0  # a worker that has served for so long did not end because of its start


class Backoff:
    """Nothing for the first end, then 0.1 s, doubled with each end that comes soon after a start."""

    def __init__(self) -> None:
        self._soon = 0

    def after(self, served: float) -> float:
        """Seconds to wait. served: seconds for which the worker that ended had been ready; 0 for a failed start."""
        if served >= STEADY_SECONDS:
            self._soon = 0
        wait = min(FIRST_SECONDS * 2 ** (self._soon - 1), MOST_SECONDS) if self._soon else 0.0
        self._soon = min(self._soon + 1, 32)
        return wait
