"""How an endpoint does: what is under way on it, and what keeps requests from it. No sockets, no clock of its own.

It outlives the generation that made it: after a reload, an endpoint that is still there is as well as it was.
"""

from typing import Final, Literal

BACKOFF_FIRST: Final = 0.5  # seconds that an endpoint rests after a failed connect, doubled by each further one
BACKOFF_MOST: Final = 30.0
TRIAL_SECONDS: Final = 10.0  # that one trial keeps others out: a client that leaves takes its verdict along
EJECTIONS_MOST: Final = 10  # a tenth ejection in a row is the longest, as in Envoy: five minutes of thirty seconds

State = Literal["healthy", "unhealthy", "ejected", "resting"]
STATES: Final[tuple[State, ...]] = ("healthy", "unhealthy", "ejected", "resting")
_NEVER: Final = float("inf")


class Health:
    """All times are monotonic seconds.

    open: connections. outstanding: exchanges on it. retry_at: until when balancing passes it over, whatever for; the
    earliest time of all reasons below. resting: after failed connects, of which there were `failures` in a row.
    ejected: after `errors` bad answers in a row. on_trial: ejected before, and not acquitted yet. judged: whether bad
    answers count, by the configuration that runs; exchanges of one before it may still bring some. unhealthy: so say
    the active checks. since: when it was last taken in, from where a slow start counts.
    """

    __slots__ = (
        "_agreeing",
        "_leased",
        "_returned",
        "_sentence",
        "ejected",
        "ejections",
        "errors",
        "failures",
        "judged",
        "on_trial",
        "open",
        "outstanding",
        "resting",
        "retry_at",
        "since",
        "unhealthy",
    )

    def __init__(self, now: float = 0.0) -> None:
        self.open = self.outstanding = 0
        self.failures = self.errors = self.ejections = 0
        self.resting = self.ejected = self.retry_at = 0.0
        self.on_trial = self.unhealthy = False
        self.judged = True
        self.since = now
        self._agreeing = 0  # checks in a row that contradict what is thought of it
        self._leased = 0.0  # until when the trial under way keeps others out
        self._returned = self._sentence = 0.0  # when its last ejection ended, and how long that one was

    def state(self, now: float) -> State:
        if self.unhealthy:
            return "unhealthy"
        if self.ejected > now or self.on_trial:
            return "ejected"
        return "resting" if self.resting > now else "healthy"

    def failed(self, now: float) -> bool:
        """No connection could be made. Whether that is news. What fails during a rest adds nothing: many connections
        that die together say no more than one of them does."""
        if now < self.resting:
            return False
        self.failures += 1
        self.resting = now + rest(self.failures)
        self._settle()
        return self.failures == 1

    def answered(self, now: float) -> bool:
        """A new connection has brought the first byte of an answer. Whether that is news."""
        if not self.failures:
            return False
        self.failures, self.resting, self.since = 0, 0.0, now
        self._settle()
        return True

    def eject(self, now: float, seconds: float) -> float:
        """Takes it out for so long, or longer where it was ejected not long ago; how long that is."""
        if self._returned and now - self._returned >= self._sentence:
            self.ejections = 0  # it has done well for as long as it was out
        self.ejections += 1
        self._sentence = seconds * min(self.ejections, EJECTIONS_MOST)
        self.ejected = self._returned = now + self._sentence
        self.errors, self.on_trial, self._leased = 0, True, 0.0
        self._settle()
        return self._sentence

    def tried(self, now: float) -> None:
        """It was chosen on trial: no other request goes there until the verdict."""
        self._leased = now + TRIAL_SECONDS
        self._settle()

    def acquit(self, now: float) -> None:
        """A good answer: it is taken in again."""
        self.on_trial, self._leased, self.ejected = False, 0.0, 0.0
        self._returned = self.since = now
        self._settle()

    def checked(self, passed: bool, needed: int, now: float) -> bool:
        """An active check has ended. needed: in a row, to think otherwise of it. Whether that is news."""
        self._agreeing = self._agreeing + 1 if passed is self.unhealthy else 0
        if self._agreeing < needed:
            return False
        self._agreeing = 0
        self.unhealthy = not passed
        if passed:
            self.since = now
        self._settle()
        return True

    def unchecked(self) -> None:
        """Nobody checks it any more, so nobody would find it healthy again."""
        self.unhealthy, self._agreeing = False, 0
        self._settle()

    def unjudged(self) -> None:
        """Nobody counts its errors any more, so nobody would acquit it."""
        self.judged = False
        self.on_trial, self._leased, self.ejected, self.errors, self.ejections = False, 0.0, 0.0, 0, 0
        self._settle()

    def _settle(self) -> None:
        self.retry_at = _NEVER if self.unhealthy else max(self.resting, self.ejected, self._leased)


def rest(failures: int) -> float:
    """Seconds that an endpoint rests after this many failed connects in a row (1 or more)."""
    return min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(failures - 1, 10))
