"""Connection strings and sessions: `beginners/tokens`, `beginners/sessions`."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from gateway.errors import RequestRejected
from gateway.identity.grants import Grants
from gateway.identity.letters import Letter
from gateway.identity.model import Account, GrantKind, Permission
from gateway.identity.notices import Notices, written
from gateway.identity.sessions import Sessions
from gateway.login.caller import account_of, person_of
from gateway.login.dialect import NO_CONTENT, Call, Endpoint, Reply, replied
from gateway.login.ids import id_param
from gateway.login.mycelium.answers import instant, listed_session, listed_token
from gateway.login.rfc3339 import moment

MAX_NAME = 200  # characters
MAX_SECONDS = 10**10  # of `expiration`; how long one may live is the grants' own limit


class Tokens:
    """now: seconds since the epoch. base: mount and `/beginners`."""

    def __init__(
        self, grants: Grants, sessions: Sessions, notices: Notices, now: Callable[[], float], base: str
    ) -> None:
        self._grants = grants
        self._sessions = sessions
        self._notices = notices
        self._now = now
        self._base = base

    def endpoints(self) -> Sequence[Endpoint]:
        base = self._base
        return (
            Endpoint("POST", f"{base}/tokens", self.create, body="json"),
            Endpoint("GET", f"{base}/tokens", self.list),
            Endpoint("POST", f"{base}/tokens/{{id}}/revoke", self.revoke),
            Endpoint("DELETE", f"{base}/tokens/{{id}}", self.delete),
            Endpoint("GET", f"{base}/sessions", self.sessions),
            Endpoint("DELETE", f"{base}/sessions/{{id}}", self.end_session),
            Endpoint("DELETE", f"{base}/sessions", self.end_other_sessions),
        )

    async def create(self, call: Call) -> Reply:
        """The seed's `{tenantId, accountId, role, expiresAt}`, or `{name, expiration, tenantId, roles}`."""
        person_of(call)
        account = account_of(call)
        tenant_id, (role, permission) = _id(call.text("tenantId"), "tenantId"), _role(call.body)
        if "accountId" in call.body and call.text("accountId").lower() != account.id:
            raise RequestRejected("forbidden", "accountId must be your own account.")
        held = {
            licence.permission
            for licence in call.caller.licences
            if (licence.tenant_id, licence.role) == (tenant_id, role)
        }
        if not held or (permission == "write" and "write" not in held):
            raise RequestRejected("role_missing", "You do not hold this role in this tenant.")
        expires_at, name = self._expiry(call), _name(call.body)
        await self._grants.check(account.id, expires_at)
        letter = self._letter(call, account, name, tenant_id, role, expires_at)
        handed = await self._grants.create_connection_string(
            account.id, tenant_id, role, expires_at, name, permission=permission, letter=letter
        )
        self._notices.posted()
        return replied({"connectionString": handed.secret, "expiresAt": moment(handed.grant.expires_at)})

    async def list(self, call: Call) -> Reply:
        person_of(call)
        return replied([listed_token(held) for held in await self._sessions.connections(account_of(call).id)])

    async def revoke(self, call: Call) -> Reply:
        return await self._end(call, "connection", delete=False)

    async def delete(self, call: Call) -> Reply:
        """Off the list too. Its text stays taken, so that creating it anew cannot revive it."""
        return await self._end(call, "connection", delete=True)

    async def sessions(self, call: Call) -> Reply:
        person_of(call)
        found = await self._sessions.list(account_of(call).id)
        return replied([listed_session(held, call.caller.grant_id) for held in found])

    async def end_session(self, call: Call) -> Reply:
        return await self._end(call, "session", delete=False)

    async def end_other_sessions(self, call: Call) -> Reply:
        """All but the one that asks."""
        await self._sessions.end_others(account_of(call).id, person_of(call).grant_id)
        return NO_CONTENT

    async def _end(self, call: Call, kind: GrantKind, *, delete: bool) -> Reply:
        person_of(call)
        await self._sessions.end(account_of(call).id, id_param(call, "id"), kind, delete=delete)
        return NO_CONTENT

    def _expiry(self, call: Call) -> float:
        if "expiresAt" in call.body:
            return instant(call.text("expiresAt"), "expiresAt")
        seconds = call.body.get("expiration")
        if isinstance(seconds, bool) or not isinstance(seconds, int):
            raise RequestRejected("bad_parameter", "Give expiresAt, a date-time, or expiration, in seconds.")
        if not 0 < seconds <= MAX_SECONDS:
            raise RequestRejected("invalid_value", "expiration is too far, or past.")
        return self._now() + seconds

    def _letter(
        self, call: Call, account: Account, name: str, tenant_id: str, role: str, expires_at: float
    ) -> Letter | None:
        tenant = next((held.account_name for held in call.caller.licences if held.tenant_id == tenant_id), tenant_id)
        values = {"name": name, "tenant": tenant, "role": role, "expires": moment(expires_at)}
        return written("connection_string_created", account, call.origin, self._now(), **values)


def _id(text: str, name: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise RequestRejected("bad_parameter", f"{name} must be a UUID.") from None


def _name(body: Mapping[str, object]) -> str:
    name = body.get("name", "")
    if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
        raise RequestRejected("bad_parameter", f"name must be a text of up to {MAX_NAME} printable characters.")
    return name


def _role(body: Mapping[str, object]) -> tuple[str, Permission | None]:
    """`role`, or the only one of `roles`: `[{name or slug, permission}]`. permission None is what the holder has."""
    roles: object = body.get("roles")
    if roles is None:
        roles = [{"slug": body.get("role")}]
    if not isinstance(roles, list) or len(roles) != 1 or not isinstance(roles[0], dict):
        raise RequestRejected("bad_parameter", "A connection string has one role: give role, or roles with one.")
    slug, permission = roles[0].get("slug", roles[0].get("name")), roles[0].get("permission")
    if not isinstance(slug, str) or not slug:
        raise RequestRejected("bad_parameter", "role must be a text.")
    if permission not in (None, "read", "write"):
        raise RequestRejected("bad_parameter", "permission is read or write.")
    return slug, cast("Permission | None", permission)
