"""The audit trail as the admin API reads it. Who writes it, and how it is held together, is not known here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.identity.model import Mark, Page


@dataclass(frozen=True, slots=True)
class Entry:
    """at: seconds since the epoch. account_id: whom it is about. subject: id of what was changed."""

    id: int
    at: float
    kind: str
    actor: str
    account_id: str | None = None
    subject: str = ""
    outcome: str = "done"
    reason: str = ""
    dialect: str = ""
    ip: str = ""
    request_id: str = ""
    detail: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """head: digest of the newest entry, in hex. detail: where it is broken, "" if intact. waiting: entries that are not
    in the chain yet."""

    intact: bool
    entries: int
    head: str
    detail: str = ""
    waiting: int = 0


class Trail(Protocol):
    """Raises DependencyFailed("store_unavailable")."""

    async def page(
        self, limit: int, after: Mark | None, kind: str | None = None, account_id: str | None = None
    ) -> Page[Entry]:
        """Newest first. A mark is one whole number: the id of the last entry that was shown."""

    async def verify(self) -> Verdict:
        """Whether nothing was changed, removed or put between. Raises RequestRejected("overloaded") while it is being
        answered to somebody else, or where it takes too long."""
