"""Sessions: the tokens of grants, and what their holder may see and end of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.grants import session_claims
from gateway.identity.keys import active
from gateway.identity.model import Account, Grant, GrantKind, HeldGrant
from gateway.identity.notices import Notices
from gateway.identity.ports import Keyring
from gateway.identity.tokens import mint


class SessionStore(Protocol):
    """Raises as the other stores do (`identity.ports`)."""

    async def held(self, account_id: str, kind: GrantKind, *, live: bool) -> Sequence[HeldGrant]:
        """Newest first; those that were deleted are left out, and, with `live`, those that have ended."""

    async def revoke_own(
        self, account_id: str, grant_id: str, kind: GrantKind, reason: str, *, delete: bool = False
    ) -> bool:
        """False for a grant that is not this account's, or of another kind, or gone. One revoked before is true."""

    async def revoke_sessions(self, account_id: str, keep: str | None, reason: str) -> int:
        """All live ones but `keep`; how many."""


@dataclass(frozen=True, slots=True)
class Terms:
    """issuer, audience: of our tokens. lifetime, restricted: seconds, of sessions and of those that wait for a second
    factor."""

    issuer: str
    audience: str
    lifetime: float = 86400.0
    restricted: float = 300.0


@dataclass(frozen=True, slots=True)
class Session:
    """What a login ends in. token: readable for the only time. duration: seconds."""

    token: str = field(repr=False)
    grant: Grant
    account: Account

    @property
    def duration(self) -> int:
        return round(self.grant.expires_at - self.grant.created_at)


class Sessions:
    def __init__(self, store: SessionStore, keyring: Keyring, terms: Terms, notices: Notices, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self.terms = terms
        self._notices = notices
        self._clock = clock

    async def begun(self, grant: Grant, account: Account) -> Session:
        """The token of a grant that was just made, or lifted: it counts from now on."""
        fresh = replace(grant, created_at=self._clock.now())
        key = active(await self._keyring.signing_keys(), "token")
        token = mint(session_claims(fresh, account, self.terms.issuer, self.terms.audience), key)
        return Session(token, fresh, account)

    async def list(self, account_id: str) -> Sequence[HeldGrant]:
        """Live ones that a login made."""
        return await self._store.held(account_id, "session", live=True)

    async def connections(self, account_id: str) -> Sequence[HeldGrant]:
        """Connection strings, live and dead."""
        return await self._store.held(account_id, "connection", live=False)

    async def end(self, account_id: str, grant_id: str, kind: GrantKind = "session", *, delete: bool = False) -> None:
        """One grant of this account, within a second everywhere. Raises RequestRejected("not_found")."""
        if not await self._store.revoke_own(account_id, grant_id, kind, "ended by its holder", delete=delete):
            raise RequestRejected("not_found", "There is none of yours with this id.")
        await self._notices.changed(grant_id)

    async def end_others(self, account_id: str, keep: str | None) -> int:
        """All sessions but `keep`; how many."""
        ended = await self._store.revoke_sessions(account_id, keep, "ended by its holder")
        await self._notices.changed(None)
        return ended
