"""What carries a message away, and how that fails. The ways are `smtp.py` and `local.py`."""

from email.message import EmailMessage
from typing import Protocol


class Undelivered(Exception):  # noqa: N818 - errors are named by fault
    """The message did not get away. reason: for the log, without an address, a link or a server's words.

    permanent: it never will, so there is no use in another try.
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class Transport(Protocol):
    async def send(self, message: EmailMessage) -> None:
        """Raises Undelivered."""
