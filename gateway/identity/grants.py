"""Grants: every credential that is handed out, how its secret is kept, and how it ends."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity import connection_string
from gateway.identity.codes import link_token
from gateway.identity.letters import Letter
from gateway.identity.model import Account, Grant, Issue, MacKey, Permission
from gateway.identity.origin import Origin
from gateway.identity.ports import GrantStore, Keyring
from gateway.identity.throttle import Throttle

OPAQUE_PREFIX = "myc_"  # lets a secret scanner recognise one of ours
OPAQUE_BYTES = 32
ISSUED = "issued"  # the dialect of a session that no login began
SHOWN = 8  # characters of an opaque token that a list shows: the prefix and 24 bits
MAX_LIFETIME = 3650 * 86400.0  # seconds; ten years
COLLISIONS = 3600  # how far an expiry may be lowered, in seconds
RACES = 32  # for the same expiry


def secret_digest(kind: Literal["connstr", "opaque"], secret: bytes) -> bytes:
    """What is stored in place of a credential: SHA-256, 32 bytes. The kind keeps the two from standing in for each
    other. No salt: the secrets are random, or signed, with 128 bits and more."""
    return hashlib.sha256(b"gateway.grant." + kind.encode() + b"\0" + secret).digest()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a login settled. aal, amr: how the caller proved who they are (RFC 8176). lifetime: seconds."""

    lifetime: float
    dialect: str = "mycelium"
    name: str = ""
    scopes: frozenset[str] = frozenset()
    aal: int = 1
    amr: tuple[str, ...] = ()
    restricted: bool = False
    ip: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Handed:
    """A credential, readable for the only time, and its grant."""

    secret: str = field(repr=False)
    grant: Grant


def pending_audience(audience: str) -> str:
    """Of tokens whose second factor is still to come."""
    return f"{audience}#second-factor"


def session_claims(grant: Grant, account: Account, issuer: str, audience: str) -> Mapping[str, object]:
    """The claims of a session's JWT, for `tokens.mint`. `sid` is the grant: the token lives only as long as it.

    Whoever verifies tokens by our key set alone, and knows no grants, must not take one that waits for its second
    factor: its audience is another.
    """
    return {
        "iss": issuer,
        "aud": pending_audience(audience) if grant.restricted else audience,
        "sub": account.id,
        "sid": grant.id,
        "email": account.owner.email,
        "iat": int(grant.created_at),
        "exp": int(grant.expires_at),
        "aal": grant.aal,
    }


class Grants:
    """form, max_lifetime (seconds): of connection strings. throttle: None where an operator acts, who has no limit."""

    def __init__(
        self,
        store: GrantStore,
        keyring: Keyring,
        clock: Clock,
        *,
        form: connection_string.Form = "seed",
        max_lifetime: float = MAX_LIFETIME,
        throttle: Throttle | None = None,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._form = form
        self._max_lifetime = max_lifetime
        self._throttle = throttle

    async def issue_session(self, account_id: str, terms: Terms) -> Grant:
        """The grant behind a JWT; `session_claims` and `tokens.mint` make the token. Raises as GrantStore."""
        issue = self._issue(account_id, terms, Grant(self._clock.uuid4(), account_id, "session", "jwt", 0, 0))
        await self._store.add_grant(issue)
        return issue.grant

    async def issue_opaque(self, account_id: str, terms: Terms) -> Handed:
        """An API key: `myc_` and 32 random bytes in base64url. Raises as GrantStore."""
        random = base64.urlsafe_b64encode(self._clock.token_bytes(OPAQUE_BYTES)).rstrip(b"=").decode()
        secret = OPAQUE_PREFIX + random
        issue = self._issue(account_id, terms, Grant(self._clock.uuid4(), account_id, "api_key", "opaque", 0, 0))
        digest = secret_digest("opaque", secret.encode())
        await self._store.add_grant(replace(issue, digest=digest, prefix=secret[:SHOWN]))
        return Handed(secret, issue.grant)

    async def issue_key(
        self, account_id: str, name: str, expires_at: float | None, dialect: str, origin: Origin
    ) -> Handed:
        """An API key in a dialect's own form: 32 random bytes in base64url. expires_at: None = in ten years.

        Raises as GrantStore, and RequestRejected: "invalid_value" for an expiry that is past or too far,
        "too_many_attempts".
        """
        now = self._clock.now()
        until = now + MAX_LIFETIME if expires_at is None else expires_at
        check_lifetime(until - now, MAX_LIFETIME)
        if self._throttle is not None:
            await self._throttle.made(account_id)
        secret = link_token(self._clock)
        grant = Grant(self._clock.uuid4(), account_id, "api_key", "opaque", now, until, name=name, dialect=dialect)
        digest = secret_digest("opaque", secret.encode())
        await self._store.add_grant(Issue(grant, digest, secret[:SHOWN], ip=origin.address, user_agent=origin.agent))
        return Handed(secret, grant)

    async def create_connection_string(
        self,
        account_id: str,
        tenant_id: str,
        role: str,
        expires_at: float,
        name: str = "",
        *,
        permission: Permission | None = None,
        letter: Letter | None = None,
        dialect: str = "mycelium",
    ) -> Handed:
        """A connection string for a role that the account holds in the tenant. expires_at: seconds since the epoch.

        The same values again would be the same string, and would revive a revoked one: the expiry is lowered by whole
        seconds until no grant, live or dead, has it. `grant.expires_at` tells the one taken. permission: narrower than
        what the role has. letter: goes with it. Raises as GrantStore, and RequestRejected("invalid_value") for an
        expiry that is past or too far.
        """
        now = self._clock.now()
        check_lifetime(expires_at - now, self._max_lifetime)
        key = await self._newest_mac_key()
        grant = Grant(
            self._clock.uuid4(), account_id, "connection", "connstr", now, int(expires_at), tenant_id, role,
            permission, name, dialect,
        )  # fmt: skip
        for _ in range(RACES):
            free = await self._store.free_expiry(grant, COLLISIONS)
            if free is None or free <= now:
                break
            grant = replace(grant, expires_at=free)
            raw = self._mint(grant, key)
            issue = Issue(grant, secret_digest("connstr", raw), mac_version=key.version)
            if await self._store.add_connection(issue, letter):
                return Handed(raw.decode(), grant)
        raise RequestRejected("conflict", "every expiry up to an hour before is taken; choose another")

    async def check(self, account_id: str, expires_at: float) -> None:
        """Whether the account may have another connection string until then, as far as limits go.

        Raises RequestRejected: "invalid_value", "too_many_attempts".
        """
        check_lifetime(expires_at - self._clock.now(), self._max_lifetime)
        if self._throttle is not None:
            await self._throttle.made(account_id)

    async def grants(self, account_id: str) -> Sequence[Grant]:
        return await self._store.grants(account_id)

    async def revoke(self, grant_id: str, reason: str = "revoked") -> bool:
        return await self._store.revoke(grant_id, reason)

    def _issue(self, account_id: str, terms: Terms, blank: Grant) -> Issue:
        check_lifetime(terms.lifetime, MAX_LIFETIME)
        now = self._clock.now()
        grant = replace(
            blank,
            created_at=now,
            expires_at=now + terms.lifetime,
            dialect=terms.dialect,
            name=terms.name,
            scopes=terms.scopes,
            aal=terms.aal,
            amr=terms.amr,
            restricted=terms.restricted,
        )
        return Issue(grant, ip=terms.ip, user_agent=terms.user_agent)

    async def _newest_mac_key(self) -> MacKey:
        keys = await self._keyring.mac_keys()
        if not keys:
            raise RequestRejected("conflict", "there is no MAC key: run `gateway keys rotate --kind mac`")
        return keys[0]

    def _mint(self, grant: Grant, key: MacKey) -> bytes:
        try:
            return connection_string.mint(
                grant.account_id, grant.tenant_id or "", grant.role or "", grant.expires_at, key, form=self._form
            )
        except ValueError as error:
            raise RequestRejected("invalid_value", "ids are UUIDs in lower case, a role is a slug") from error


def check_lifetime(seconds: float, longest: float) -> None:
    if not 1 <= seconds <= longest:
        raise RequestRejected("invalid_value", f"it may live from one second to {longest / 86400:g} days from now")
