"""Credentials that were handed out, those that are handed out here, and the keys that sign them."""

from collections.abc import Sequence

from gateway.control.api import answers, asks
from gateway.control.api.accounts import ACCOUNT
from gateway.control.api.operation import Asked, Operation, mark, marked
from gateway.control.api.parts import Parts
from gateway.identity.model import HeldGrant
from gateway.identity.origin import platform
from gateway.login import shown
from gateway.login.mycelium.answers import instant
from gateway.login.rfc3339 import moment

WHY = "ended by an administrator"


class Credentials:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._administration = parts.administration
        self._governance = parts.administration.governance

    def operations(self) -> Sequence[Operation]:
        grants = f"{ACCOUNT}/grants"
        return (
            Operation(
                "listGrants", "GET", grants, "credentials", "List an account's sessions, keys and connection strings",
                self.list, answers.Grants, query=asks.GrantQuery,
            ),
            Operation(
                "revokeGrant", "DELETE", grants + "/{grantId}", "credentials", "End a credential, within a second",
                self.revoke,
            ),
            Operation(
                "revokeGrants", "DELETE", grants, "credentials", "End all credentials of an account",
                self.revoke_all, answers.Ended, query=asks.EndQuery,
                description="But for the one that this very call comes with.",
            ),
            Operation(
                "issueToken", "POST", f"{ACCOUNT}/tokens", "credentials", "Issue a session's token, without a login",
                self.issue, answers.Token, asks.NewToken, status=201,
            ),
            Operation(
                "createConnectionString", "POST", f"{ACCOUNT}/connection-strings", "credentials",
                "Create a connection string for a role that the account holds", self.connect,
                answers.ConnectionString, asks.NewConnectionString, status=201,
            ),
            Operation("listKeys", "GET", "/keys", "keys", "List keys, without their secrets", self.keys, answers.Keys),
            Operation(
                "rotateKeys", "POST", "/keys/rotate", "keys", "Make a new key and sign with it from now on",
                self.rotate, answers.Rotated, asks.Rotation, status=201,
                description=(
                    "Old signing keys go on verifying as long as a live session may need them. Three MAC keys live at "
                    "most: where live connection strings hang on the oldest, this is refused without `force`."
                ),
            ),
        )  # fmt: skip

    async def list(self, asked: Asked) -> object:
        said, current = asked.sought(asks.GrantQuery), asked.authority.principal.grant_id
        page = await self._parts.listings.grants(
            asked.params["accountId"], said.limit, mark(said.after, float, str), said.kind, said.live
        )
        return marked(page, lambda held: _shown(held, current))

    async def revoke(self, asked: Asked) -> object:
        account_id, grant_id = asked.params["accountId"], asked.params["grantId"]
        await self._governance.revoke_grant(account_id, grant_id, WHY, asked.authority.on)
        return None

    async def revoke_all(self, asked: Asked) -> object:
        kind, keep = asked.sought(asks.EndQuery).kind, asked.authority.principal.grant_id
        account_id, guard = asked.params["accountId"], asked.authority.on
        return {"ended": await self._governance.revoke_grants(account_id, kind, keep, WHY, guard)}

    async def issue(self, asked: Asked) -> object:
        seconds, guard = asked.said(asks.NewToken).lifetime, asked.authority.on
        lifetime = None if seconds is None else float(seconds)
        token, grant = await self._administration.issue_token(asked.params["accountId"], lifetime, "admin API", guard)
        return {"token": token, "expiresAt": moment(grant.expires_at)}

    async def connect(self, asked: Asked) -> object:
        said = asked.said(asks.NewConnectionString)
        handed = await self._administration.grants.create_connection_string(
            asked.params["accountId"], said.tenant_id, said.role, instant(said.expires_at, "expiresAt"), said.name,
            permission=said.permission,
        )  # fmt: skip
        return {"connectionString": handed.secret, "expiresAt": moment(handed.grant.expires_at)}

    async def keys(self, asked: Asked) -> object:
        return {"items": [shown.key(record) for record in await self._administration.keys.records()]}

    async def rotate(self, asked: Asked) -> object:
        said = asked.said(asks.Rotation)
        return {"id": await self._administration.rotate(said.kind, force=said.force), "kind": said.kind}


def _shown(held: HeldGrant, current: str | None) -> shown.Fields:
    return {
        **shown.grant(held.grant),
        "platform": platform(held.user_agent),
        "ip": held.ip,
        "prefix": held.prefix,
        "current": held.grant.id == current,
    }
