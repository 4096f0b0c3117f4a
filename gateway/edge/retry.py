"""When a request goes out once more, and how often that may be: the budget keeps retries from becoming the load."""


class Retries:
    """attempts: times that a request is sent again at most. share: of the requests in the ledger's window, that may be
    retries. floor: retries in a window that need no budget.

    connect: another endpoint is tried where no connection could be made; nothing has been sent then, so any request
    may, and each endpoint once. The others need the whole request still in hand, idempotent, and no byte of an answer.
    idle: a kept connection turned out to be closed. reset: any was closed. statuses: of answers that are not passed on.
    """

    __slots__ = ("attempts", "connect", "floor", "idle", "reset", "share", "statuses", "unused")

    def __init__(
        self,
        attempts: int = 1,
        share: float = 0.2,
        floor: int = 30,
        on: frozenset[str] = frozenset(("connect", "idle")),
        statuses: frozenset[int] = frozenset(),
    ) -> None:
        self.attempts = attempts
        self.share = share
        self.floor = floor
        self.connect = "connect" in on
        self.reset = "reset" in on
        self.idle = self.reset or "idle" in on
        self.statuses = statuses
        # unused: whether a request is kept for another attempt also where its connection has served nobody before
        self.unused = bool(attempts) and (self.reset or bool(statuses))

    def closed(self, used: bool) -> str | None:
        """The reason to send again what a closed connection did not answer. used: it had served another before."""
        if used:
            return "idle" if self.idle else None
        return "reset" if self.reset else None
