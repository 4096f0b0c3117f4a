"""Sessions: the tokens of grants, and what their holder may see and end of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.grants import session_claims
from gateway.identity.keys import active
from gateway.identity.model import Account, Grant, HeldGrant
from gateway.identity.notices import Notices
from gateway.identity.ports import Keyring
from gateway.identity.tokens import mint


class SessionStore(Protocol):
    """Raises as the other stores do (`identity.ports`)."""

    async def held(self, account_id: str) -> Sequence[HeldGrant]:
        """Not those that were deleted; newest first, live and dead."""

    async def revoke_own(self, account_id: str, grant_id: str, reason: str, *, delete: bool = False) -> bool:
        """False for a grant that is not this account's, or is gone. One that was revoked before is true."""

    async def revoke_all(self, account_id: str, keep: str | None, reason: str) -> int:
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
        return int(self.grant.expires_at - self.grant.created_at)


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
        now = self._clock.now()
        found = await self._store.held(account_id)
        return [
            held
            for held in found
            if held.grant.kind == "session" and held.grant.revoked_at is None and held.grant.expires_at > now
        ]

    async def connections(self, account_id: str) -> Sequence[HeldGrant]:
        """Connection strings, live and dead."""
        return [held for held in await self._store.held(account_id) if held.grant.kind == "connection"]

    async def end(self, account_id: str, grant_id: str, *, delete: bool = False) -> None:
        """One grant of this account, within a second everywhere. Raises RequestRejected("not_found")."""
        if not await self._store.revoke_own(account_id, grant_id, "ended by its holder", delete=delete):
            raise RequestRejected("not_found", "There is no such grant.")
        await self._notices.changed(grant_id)

    async def end_others(self, account_id: str, keep: str | None) -> int:
        ended = await self._store.revoke_all(account_id, keep, "ended by its holder")
        await self._notices.changed(None)
        return ended
