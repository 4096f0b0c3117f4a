"""Invitations into a tenant. The page that the mailed link opens is `control.api.pages`."""

from collections.abc import Sequence

from gateway.control.api import answers, asks
from gateway.control.api.operation import Asked, Operation, mark, marked
from gateway.control.api.parts import Parts
from gateway.control.api.tenants import TENANT
from gateway.login import shown
from gateway.login.mycelium.answers import instant


class Invitations:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def operations(self) -> Sequence[Operation]:
        path = f"{TENANT}/invitations"
        return (
            Operation(
                "invite", "POST", path, "invitations", "Invite an address to hold a role in a tenant",
                self.invite, answers.Invitation, asks.NewInvitation, status=201,
                description="By mail, with a link. Whoever logs in with the address may accept, once.",
            ),
            Operation(
                "listInvitations", "GET", path, "invitations", "List a tenant's invitations, newest first",
                self.list, answers.Invitations, query=asks.InvitationQuery,
            ),
            Operation(
                "revokeInvitation", "DELETE", path + "/{invitationId}", "invitations", "Take an invitation back",
                self.revoke,
            ),
            Operation(
                "acceptInvitation", "POST", "/invitations/accept", "invitations",
                "Take the role that your address is invited to", self.accept, answers.Invitation,
                asks.InvitationToken,
            ),
        )  # fmt: skip

    async def invite(self, asked: Asked) -> object:
        said = asked.said(asks.NewInvitation)
        tenant = await self._parts.administration.accounts.tenant(asked.params["tenantId"])
        until = None if said.expires_at is None else instant(said.expires_at, "expiresAt")
        made = await self._parts.invitations.invite(
            asked.authority, tenant, said.email, said.role, said.permission, until, asked.origin
        )
        return shown.invitation(made, self._now())

    async def list(self, asked: Asked) -> object:
        said = asked.sought(asks.InvitationQuery)
        page = await self._parts.listings.invitations(
            asked.params["tenantId"], said.limit, mark(said.after, float, str), said.state
        )
        return marked(page, lambda found: shown.invitation(found, self._now()))

    async def revoke(self, asked: Asked) -> object:
        params = asked.params
        await self._parts.invitations.revoke(asked.authority, params["tenantId"], params["invitationId"])
        return None

    async def accept(self, asked: Asked) -> object:
        token = asked.said(asks.InvitationToken).token
        taken = await self._parts.invitations.accept(asked.authority.account, token, asked.origin)
        return shown.invitation(taken, self._now())

    def _now(self) -> float:
        return self._parts.now()
