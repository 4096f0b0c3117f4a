"""API keys of the caller's account: made, listed and revoked by their sessions alone."""

from collections.abc import Sequence

from gateway.errors import RequestRejected
from gateway.identity.services import Services
from gateway.login.caller import session_of
from gateway.login.dialect import NO_CONTENT, Call, Endpoint, Reply, replied
from gateway.login.ids import id_param
from gateway.login.pipelit.answers import listed_key, made_key
from gateway.login.pipelit.fields import Fields
from gateway.login.pipelit.said import NAME, Said


class KeyEndpoints:
    def __init__(self, services: Services, said: Said) -> None:
        self._grants = services.grants
        self._sessions = services.sessions
        self._clock = services.clock
        self._path = said.keys_mount

    def endpoints(self) -> Sequence[Endpoint]:
        return (
            Endpoint("POST", self._path, self.create, body="json"),
            Endpoint("GET", self._path, self.list),
            Endpoint("DELETE", self._path + "/{id}", self.revoke),
        )

    async def create(self, call: Call) -> Reply:
        """`{name, expires_at?}` -> 201, with the key for the only time."""
        account, _ = session_of(call)
        fields = Fields(call.body)
        name, expires_at = fields.label("name"), fields.moment("expires_at")
        fields.check()
        now = self._clock.now()
        if expires_at is not None and expires_at < now + 1:
            raise RequestRejected("invalid_value", "expires_at must be in the future.")
        handed = await self._grants.issue_key(account.id, name, expires_at, NAME, call.origin)
        return replied(made_key(handed.secret, handed.grant, now), 201)

    async def list(self, call: Call) -> Reply:
        """Revoked ones too, newest first."""
        account, _ = session_of(call)
        now = self._clock.now()
        return replied([listed_key(held, now) for held in await self._sessions.keys(account.id)])

    async def revoke(self, call: Call) -> Reply:
        account, _ = session_of(call)
        await self._sessions.end(account.id, id_param(call, "id"), "api_key")
        return NO_CONTENT
