"""Lists of what there is, a page at a time, as the admin API asks for them."""

from collections.abc import Sequence
from typing import Protocol

from gateway.identity.model import (
    Account,
    AccountStatus,
    GrantKind,
    HeldGrant,
    Invitation,
    InvitationState,
    Mark,
    Member,
    Page,
    Tenant,
)


class Listings(Protocol):
    """limit: items at most. after: where the page before ended. Raises as the other stores do (`identity.ports`)."""

    async def accounts(
        self, limit: int, after: Mark | None, text: str = "", status: AccountStatus | None = None
    ) -> Page[Account]:
        """Oldest first; not the tenants' own ones, and deleted ones only where they are asked for. text: a part of a
        name, a username or an address. A mark is (number,)."""

    async def tenants(self, limit: int, after: Mark | None, text: str = "") -> Page[Tenant]:
        """Oldest first. A mark is (time, id)."""

    async def roles(self, limit: int, after: Mark | None) -> Page[tuple[str, str]]:
        """Ids and slugs, by slug. A mark is (slug,)."""

    async def members(self, tenant_id: str, limit: int, after: Mark | None) -> Page[Member]:
        """Whoever owns the tenant or holds a role in it. A mark is (number,). May be "not_found"."""

    async def owners(self, tenant_id: str) -> Sequence[Member]:
        """May be "not_found"."""

    async def grants(
        self, account_id: str, limit: int, after: Mark | None, kind: GrantKind | None = None, live: bool = False
    ) -> Page[HeldGrant]:
        """Newest first. A mark is (time, id). May be "not_found"."""

    async def invitations(
        self, tenant_id: str, limit: int, after: Mark | None, state: InvitationState | None = None
    ) -> Page[Invitation]:
        """Newest first. A mark is (time, id). May be "not_found"."""
