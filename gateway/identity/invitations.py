"""Invitations: a tenant's people ask somebody in by mail, and whoever proves that address takes the role, once.

The mail's token alone lets nobody in: it is taken by a session of an account that has the address.
"""

from collections.abc import Callable
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity import addresses, codes
from gateway.identity.accounts import require_slug
from gateway.identity.authority import Authority, entitled
from gateway.identity.letters import Letter
from gateway.identity.model import Account, Invitation, InvitationGuard, Member, Permission, Tenant
from gateway.identity.notices import Notices, minute
from gateway.identity.origin import Origin
from gateway.identity.ports import TenantStore
from gateway.identity.throttle import Throttle

LIFETIME: Final = 7 * 86400.0  # seconds; over a weekend and a holiday
LONGEST: Final = 30 * 86400.0


class InvitationStore(Protocol):
    """Raises as the other stores do (`identity.ports`)."""

    async def invite(self, value: Invitation, letter: Letter, *, known_role: bool) -> None:
        """Store it, and its mail. "not_found" (the tenant), "conflict" where the address has an open one for the same,
        and with known_role "invalid_value" for a role that nobody has made yet."""

    async def revoke(self, tenant_id: str, invitation_id: str, guard: InvitationGuard) -> bool:
        """False when it was revoked before. "not_found", or "conflict" once it is accepted."""

    async def invitation(self, digest: bytes) -> Invitation | None: ...

    async def invited(self, address_key: str, entitled: Callable[[Member, Invitation], bool]) -> bool:
        """Whether an open one waits for this address, whose inviter still may."""

    async def accept(
        self, digest: bytes, account_id: str, entitled: Callable[[Member, Invitation], bool]
    ) -> Invitation | None:
        """Give the role, and close the invitation: exactly one of parallel calls wins. None unless it is open and the
        account has proved its address. The account must be live.

        entitled: asked about who has invited, held; where it says no, the invitation is revoked instead."""


class Invitations:
    """link: the URL that a mail opens, with `{token}` in it."""

    def __init__(
        self,
        store: InvitationStore,
        tenants: TenantStore,
        throttle: Throttle,
        notices: Notices,
        clock: Clock,
        link: str,
    ) -> None:
        self._store = store
        self._tenants = tenants
        self._throttle = throttle
        self._notices = notices
        self._clock = clock
        self._link = link

    async def invite(
        self,
        authority: Authority,
        tenant: Tenant,
        email: str,
        role: str,
        permission: Permission,
        expires_at: float | None,
        origin: Origin,
    ) -> Invitation:
        """Raises RequestRejected: "invalid_value", "forbidden", "too_many_attempts", and as InvitationStore."""
        require_slug(role)
        address, now = addresses.address(email), self._clock.now()
        authority.inviting(role, permission, tenant.id, address.key)
        until = now + LIFETIME if expires_at is None else expires_at
        if not 1 <= until - now <= LONGEST:
            raise RequestRejected("invalid_value", f"expiresAt is from now to {LONGEST / 86400:g} days from now")
        await self._throttle.made(authority.account.id)
        # to somebody who may not have asked for it: taken back and sent again, they would flood a mailbox
        await self._throttle.mail(origin, address.key)
        token = codes.link_token(self._clock)
        digest = codes.link_digest(token)
        assert digest is not None
        value = Invitation(
            self._clock.uuid4(), tenant.id, address.text, address.key, role, permission, digest,
            authority.account.id, now, until,
        )  # fmt: skip
        # of whoever invites no more than the tenant: their network is no matter of the address's
        told = {
            "when": minute(now),
            "ip": "",
            "platform": "",
            "link": self._link.replace("{token}", token),
            "tenant": tenant.name,
        }
        letter = Letter("invitation", address.text, {**told, "role": role, "expires": minute(until)})
        await self._store.invite(value, letter, known_role=not authority.is_platform)
        self._notices.posted()
        return value

    async def view(self, token: str) -> Invitation | None:
        """What its page shows. Changes nothing, as mail scanners open links too. None unless it is open."""
        digest = codes.link_digest(token)
        found = None if digest is None else await self._store.invitation(digest)
        return found if found is not None and found.state(self._clock.now()) == "open" else None

    async def seen(self, token: str, origin: Origin) -> tuple[Invitation, Tenant] | None:
        """The same for its page, with the tenant. Raises RequestRejected("too_many_attempts"): openings of links that
        are of no use are counted by network."""
        found = await self.view(token)
        if found is None:
            await self._throttle.opened(origin, "invitation_refused")
            return None
        return found, await self._tenants.tenant(found.tenant_id)

    async def accept(self, account: Account, token: str, origin: Origin) -> Invitation:
        """Raises RequestRejected: "not_found" (not open, or another's), "forbidden", "too_many_attempts"."""
        guess = self._throttle.guess(origin, None, kind="invitation_refused", about=account.id)
        async with await guess as ticket:
            found = await self.view(token)
            if found is not None and found.invited_by == account.id and not account.is_staff:
                raise RequestRejected("forbidden", "Nobody gives a role to themselves.")
            digest = codes.link_digest(token)
            taken = None if digest is None else await self._store.accept(digest, account.id, entitled)
            if taken is None:
                raise RequestRejected("not_found", "there is no open invitation with this token for your address")
            await ticket.passed()
            return taken

    async def revoke(self, authority: Authority, tenant_id: str, invitation_id: str) -> bool:
        """Raises as InvitationStore, and RequestRejected("forbidden") for what the caller may not give."""
        return await self._store.revoke(tenant_id, invitation_id, authority.revoking)
