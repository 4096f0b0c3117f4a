"""External identities of an account: linked by who holds both, listed, and taken away again.

An identity is (issuer, subject) and belongs to one account at most; an e-mail address never links anything. Mails still
log in to an account without any, so every link may go.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.letters import Letter
from gateway.identity.model import Account, ExternalIdentity, LinkedIdentity, Principal
from gateway.identity.notices import Notices, written
from gateway.identity.origin import Origin
from gateway.identity.throttle import Throttle


class Proof(Protocol):
    """`access.verifiers.Verifiers` is one."""

    async def external_identity(self, raw: bytes, now: float) -> ExternalIdentity:
        """Whom this token of a configured external issuer is about. Raises RequestRejected with a 401 code,
        "unknown_issuer" for our own tokens, or DependencyFailed."""


class LinkStore(Protocol):
    """Raises as the other stores do (`identity.ports`)."""

    async def link(self, link: LinkedIdentity, letter: Letter | None) -> LinkedIdentity:
        """Store it, and the letter with it; the one that is there already if the same account has it. May be
        "not_found" (the account) or "conflict": the account is not live, or another one has the identity."""

    async def links(self, account_id: str) -> Sequence[LinkedIdentity]:
        """Oldest first."""

    async def unlink(self, account_id: str, link_id: str) -> None:
        """May be "not_found", also for a link of another account."""

    async def unlink_issuers(self, account_id: str, prefix: str, dialect: str) -> int:
        """All whose issuer begins so, and the live grants of that dialect. How many links went."""

    async def holder(self, issuer: str, subject: str) -> Account | None:
        """The account that has this identity, in whatever state."""


class Links:
    def __init__(self, store: LinkStore, proof: Proof, throttle: Throttle, notices: Notices, clock: Clock) -> None:
        self._store = store
        self._proof = proof
        self._throttle = throttle
        self._notices = notices
        self._clock = clock

    async def link(self, principal: Principal, token: str, origin: Origin) -> LinkedIdentity:
        """Link whom the token is about to the caller's account: a session proves the one, the token the other.

        Raises as `session_account`, Proof and LinkStore, and RequestRejected("too_many_attempts"): wrong tokens count
        as any vain attempt of their network.
        """
        account = session_account(principal)
        async with await self._throttle.guess(origin, None, kind="identity_refused") as ticket:
            # what is not ASCII is no token either way
            identity = await self._proof.external_identity(token.encode("ascii", "replace"), self._clock.now())
            await ticket.passed()
        return await self.attach(account, identity, identity.issuer, origin)

    async def links(self, principal: Principal) -> Sequence[LinkedIdentity]:
        """Not those of Telegram users, which have endpoints of their own."""
        found = await self._store.links(session_account(principal).id)
        return [link for link in found if "://" in link.issuer]

    async def unlink(self, principal: Principal, link_id: str) -> None:
        """Its tokens pass as this account no longer, within a second. Raises RequestRejected("not_found")."""
        account = session_account(principal)
        if all(link.id != link_id for link in await self.links(principal)):
            raise RequestRejected("not_found", "There is no such link of yours.")
        await self._store.unlink(account.id, link_id)
        await self._notices.changed(None)

    async def attach(
        self, account: Account, identity: ExternalIdentity, provider: str, origin: Origin
    ) -> LinkedIdentity:
        """Link what was proved. provider: its name for people, in the letter. Raises as LinkStore."""
        at = self._clock.now()
        letter = written("identity_linked", account, origin, at, provider=provider)
        new = LinkedIdentity(self._clock.uuid4(), account.id, identity.issuer, identity.subject, at)
        linked = await self._store.link(new, letter)
        if linked == new:
            await self._notices.changed(None)
            if letter is not None:
                self._notices.posted()
        return linked

    async def detach(self, account: Account, prefix: str, dialect: str) -> None:
        """Take away the links whose issuer begins so, and what they have got by that dialect.

        Raises RequestRejected("not_found") if there are none.
        """
        if not await self._store.unlink_issuers(account.id, prefix, dialect):
            raise RequestRejected("not_found", "nothing of this provider is linked")
        await self._notices.changed(None)

    async def holder(self, identity: ExternalIdentity) -> Account | None:
        """The account, if its credentials may be used."""
        account = await self._store.holder(identity.issuer, identity.subject)
        return account if account is not None and account.is_live else None


def session_account(principal: Principal) -> Account:
    """The account of a caller who logged in here.

    Not one of an external token, which proves the external side only, nor of a connection string or an API key, which
    are handed to programs. Raises RequestRejected: "no_account", "mfa_required", "forbidden".
    """
    if principal.account is None:
        raise RequestRejected("no_account")
    if principal.restricted:
        raise RequestRejected("mfa_required")
    if principal.grant_kind != "session":
        raise RequestRejected("forbidden", "A session is needed.")
    return principal.account
