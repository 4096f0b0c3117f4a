"""Sessions: the tokens of grants, and what their holder may see and end of them."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.grants import ISSUED, session_claims
from gateway.identity.keys import signing_key
from gateway.identity.model import Account, Grant, GrantKind, HeldGrant, Issue, Principal
from gateway.identity.notices import Notices
from gateway.identity.origin import Origin
from gateway.identity.ports import Keyring
from gateway.identity.tokens import mint_aside


class SessionStore(Protocol):
    """Raises as the other stores do (`identity.ports`)."""

    async def held(self, account_id: str, kind: GrantKind, *, live: bool) -> Sequence[HeldGrant]:
        """Newest first; those that were deleted are left out, and, with `live`, those that have ended."""

    async def revoke_own(
        self, account_id: str, grant_id: str, kind: GrantKind, reason: str, *, delete: bool = False
    ) -> bool:
        """False for a grant that is not this account's, or of another kind, or gone. One revoked before is true."""

    async def renew(self, grant_id: str, issue: Issue) -> bool:
        """Revoke this live and unrestricted session, and store another of its account. False when it is not live any
        more: one of parallel calls wins. May be "not_found" or "conflict", as GrantStore.add_grant."""

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

    async def minting(self, account: Account) -> Callable[[Grant], Awaitable[Session]]:
        """Makes the token of a grant that was just made, or lifted: it counts from then on.

        To be had before anything is claimed for it, as it is this that may fail. Raises DependencyFailed.
        """
        key = await signing_key(self._keyring, "token")

        async def begun(grant: Grant) -> Session:
            lifetime = self.terms.restricted if grant.restricted else self.terms.lifetime
            fresh = replace(grant, created_at=min(self._clock.now(), grant.expires_at - lifetime))
            token = await mint_aside(session_claims(fresh, account, self.terms.issuer, self.terms.audience), key)
            return Session(token, fresh, account)

        return begun

    async def list(self, account_id: str) -> Sequence[HeldGrant]:
        """Live ones that a login made."""
        return await self._store.held(account_id, "session", live=True)

    async def since_login(self, caller: Principal) -> float:
        """Seconds; a renewed session counts from its login, and to one that was issued without there was none.

        Raises RequestRejected("revoked_credential").
        """
        own = await self._own(caller)
        return math.inf if own.dialect == ISSUED else self._clock.now() - own.created_at

    async def renew(self, caller: Principal, dialect: str, lifetime: float, longest: float, origin: Origin) -> Grant:
        """A new grant in the place of the presented one, which ends. Its token is still to be minted.

        lifetime: seconds from now. longest: seconds since the login for which sessions are renewed at all. Raises
        RequestRejected: "forbidden" (another dialect's), "revoked_credential" (it has ended, or is too old).
        """
        old, now = await self._own(caller), self._clock.now()
        if old.dialect != dialect or old.restricted:
            raise RequestRejected("forbidden")
        if now - old.created_at >= longest:
            raise RequestRejected("revoked_credential")
        fresh = replace(old, id=self._clock.uuid4(), expires_at=now + lifetime, last_used_at=now)
        try:
            renewed = await self._store.renew(old.id, Issue(fresh, ip=origin.address, user_agent=origin.agent))
        except RequestRejected as fault:  # the account went meanwhile
            raise RequestRejected("revoked_credential") from fault
        if not renewed:
            raise RequestRejected("revoked_credential")
        await self._notices.changed(old.id)
        return fresh

    async def _own(self, caller: Principal) -> Grant:
        for held in await self.list(caller.subject):
            if held.grant.id == caller.grant_id:
                return held.grant
        raise RequestRejected("revoked_credential")

    async def connections(self, account_id: str) -> Sequence[HeldGrant]:
        """Connection strings, live and dead."""
        return await self._store.held(account_id, "connection", live=False)

    async def keys(self, account_id: str) -> Sequence[HeldGrant]:
        """API keys, live and dead."""
        return await self._store.held(account_id, "api_key", live=False)

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
