"""The second factor of the caller: `mfa/...`, but for the login's own step."""

from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from gateway.errors import RequestRejected
from gateway.identity.services import Services
from gateway.login.caller import account_of, session_of
from gateway.login.dialect import Call, Endpoint, Reply, replied
from gateway.login.pipelit.answers import shown_name
from gateway.login.pipelit.fields import Fields
from gateway.login.pipelit.local import is_local
from gateway.login.pipelit.said import Said

ISSUER = "Pipelit"  # as the seed's URL names it
_OFF = replied({"mfa_enabled": False})


class SecondFactor:
    def __init__(self, services: Services, said: Said) -> None:
        self._factors = services.factors
        self._public_url = services.public_url
        self._said = said

    def endpoints(self) -> Sequence[Endpoint]:
        base = f"{self._said.mount}/mfa"
        return (
            Endpoint("POST", f"{base}/setup", self.set_up),
            Endpoint("POST", f"{base}/verify", self.verify, body="json"),
            Endpoint("POST", f"{base}/disable", self.disable, body="json"),
            Endpoint("GET", f"{base}/status", self.status),
            Endpoint("POST", f"{base}/reset", self.reset),
        )

    async def set_up(self, call: Call) -> Reply:
        """A new secret each time, in the place of one that is not confirmed yet."""
        account, _ = session_of(call)
        url = await self._factors.enable(account, issuer=ISSUER, holder=shown_name(account))
        (secret,) = parse_qs(urlsplit(url).query)["secret"]
        return replied({"secret": secret, "provisioning_uri": url})

    async def verify(self, call: Call) -> Reply:
        """`{code}` -> `{mfa_enabled, recovery_codes}`: these are shown once."""
        account, grant_id = session_of(call)
        fields = Fields(call.body)
        code = fields.code("code")
        fields.check()
        fresh = await self._factors.confirm(account, code, grant_id, call.origin)
        return replied({"mfa_enabled": True, "recovery_codes": fresh})

    async def disable(self, call: Call) -> Reply:
        """`{code}`, which may be a recovery code."""
        account, grant_id = session_of(call)
        fields = Fields(call.body)
        code = fields.code("code", recovery=True)
        fields.check()
        await self._factors.disable(account, code, grant_id, call.origin)
        return _OFF

    async def status(self, call: Call) -> Reply:
        held = await self._factors.held(account_of(call).id)
        return replied({"mfa_enabled": held.active is not None})

    async def reset(self, call: Call) -> Reply:
        """For whoever sits at the machine itself and has lost the app: no code is asked for."""
        if self._said.reset == "off":
            raise RequestRejected("forbidden", "MFA reset is switched off.")
        if not is_local(call, self._public_url):
            raise RequestRejected("forbidden", "MFA reset only allowed from localhost.")
        account, grant_id = session_of(call)
        await self._factors.reset(account, grant_id, call.origin)
        return _OFF
