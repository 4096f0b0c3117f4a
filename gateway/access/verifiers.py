"""One check per form of credential, from bytes to `Principal`. Nothing is cached here (`authenticate` does that).

Each check verifies before it looks up, looks up before it believes, and raises: RequestRejected with a 401 code for a
credential that is wrong, DependencyFailed when that could not be found out.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity import addresses, connection_string
from gateway.identity.compact import TokenInvalid, Unverified, parse
from gateway.identity.grants import pending_audience, secret_digest
from gateway.identity.model import (
    ExternalIdentity,
    Licence,
    MacKey,
    Presentation,
    Principal,
    SigningKey,
    Standing,
)
from gateway.identity.ports import Directory, Keyring
from gateway.identity.tokens import Claims, Rules, VerifyingKey, verify, verifying_key
from gateway.wire.credentials import Presented

INTERNAL: Final = "internal"  # the name of our own tokens' issuer, in `Principal.issuer` and in routes

# RFC 9068 access tokens, and the JWTs without a type or with the plain one that most issuers write. An assertion, a
# logout token or a proof of possession has a type of its own and is none of them (RFC 8725 section 3.11).
_EXTERNAL_TYPES: Final = frozenset({None, "jwt", "at+jwt"})
_KEY_RELOAD_SECONDS: Final = 1.0  # at most so often for an unknown `kid` of our own
_MAX_SUBJECT: Final = 255  # OpenID Connect Core section 2
_MAX_NAME: Final = 256
_MAX_LOCAL: Final = 64  # octets before the @ (RFC 5321 section 4.5.3.1.1)
_EMAIL: Final = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}").fullmatch  # printable ASCII, one @, RFC 5321's lengths
_UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


@dataclass(frozen=True, slots=True)
class OwnTokens:
    """What our own JWTs claim. early: seconds by which the clock of the node that minted one may be ahead of ours."""

    issuer: str
    audience: str
    early: float = 30.0


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """name: as configured. algorithms: asymmetric ones. email_verified: whether its `email` counts at all."""

    name: str
    issuer: str
    audiences: tuple[str, ...]
    algorithms: frozenset[str]
    provision: bool = False
    email_verified: bool = False
    leeway: float = 30.0
    verify_sub: bool = True


class IssuerKeys(Protocol):
    """The part of `access.jwks.Jwks` that is used here."""

    async def key(self, issuer: str, kid: str) -> VerifyingKey | None: ...


class Verifiers:
    """on_keys: told our own signing keys each time they are loaded, and none when they are void: assertions are signed
    with one of them."""

    def __init__(
        self,
        directory: Directory,
        keyring: Keyring,
        jwks: IssuerKeys,
        own: OwnTokens,
        issuers: Sequence[ExternalIssuer],
        clock: Clock,
        on_keys: Callable[[Sequence[SigningKey]], None] = lambda _keys: None,
    ) -> None:
        """Raises ValueError when two issuers share a name or an `iss`, or one takes ours."""
        names = {INTERNAL, *(issuer.name for issuer in issuers)}
        external = {issuer.issuer: (issuer, _rules(issuer)) for issuer in issuers}
        if len(names) <= len(issuers) or len(external) < len(issuers) or own.issuer in external:
            raise ValueError("two issuers have the same name or the same iss")
        self._directory = directory
        self._keyring = keyring
        self._jwks = jwks
        self._own = own
        self._external = external
        self._monotonic = clock.monotonic
        self._on_keys = on_keys
        self._token_keys: dict[str, VerifyingKey] | None = None
        self._mac_keys: Sequence[MacKey] = ()
        self._keys_epoch = 0
        self._keys_loaded_at = -math.inf

    async def principal(self, presented: Presented, now: float) -> Principal:
        """Who presents this. now: seconds since the epoch."""
        if self._token_keys is None:
            await self.reload_keys()  # whatever the credential: what is sent on about the caller is signed with ours
        match presented.kind:
            case "connection_string":
                return await self._connection_string(presented.raw, now)
            case "jwt":
                return await self._token(presented.raw, now)
            case "opaque":
                standing = await self._directory.by_secret(secret_digest("opaque", presented.raw))
                if standing is None:
                    raise RequestRejected("invalid_credential")
                return _holder(standing, "opaque", math.inf, now)

    async def holder(self, grant_id: str, now: float) -> Principal:
        """Who has this grant, with none of its credential shown: to explain a request, never to let one pass."""
        standing = await self._directory.by_grant(grant_id)
        if standing is None or standing.grant is None:
            raise RequestRejected("revoked_credential")
        return _holder(standing, standing.grant.presentation, math.inf, now)

    async def external_identity(self, raw: bytes, now: float) -> ExternalIdentity:
        """Whom a token of an external issuer is about. As `principal` verifies it, but no account is read or made.

        Raises RequestRejected("unknown_issuer") for one of our own.
        """
        token = parse(raw)
        found = self._external.get(token.issuer)
        if found is None:
            raise RequestRejected("unknown_issuer")
        issuer, rules = found
        claims = await self._external_claims(token, issuer, rules, now)
        email = _address(claims) if issuer.email_verified else ""
        return ExternalIdentity(issuer.issuer, _subject(claims), email)

    def forget_keys(self) -> None:
        """Our own keys changed: nothing is signed with a void one, and they are read again before the next check."""
        self._token_keys = None
        self._keys_epoch += 1
        self._on_keys(())

    async def reload_keys(self) -> None:
        """Reads our own keys. Raises DependencyFailed, also for a key that is stored and cannot be used."""
        epoch = None
        while epoch != self._keys_epoch:  # what was read while they changed may be the old ones
            epoch = self._keys_epoch
            signing = await self._keyring.signing_keys()
            mac_keys = await self._keyring.mac_keys()
        try:
            self._token_keys = {key.kid: verifying_key(key) for key in signing if key.purpose != "assertion"}
            self._on_keys(signing)
        except ValueError as error:
            self._token_keys = None
            self._on_keys(())
            raise DependencyFailed("store_unavailable", "a stored signing key cannot be used") from error
        self._mac_keys = mac_keys
        self._keys_loaded_at = self._monotonic()

    async def _connection_string(self, raw: bytes, now: float) -> Principal:
        try:
            parsed = connection_string.parse(raw)
        except connection_string.ConnectionStringError as error:
            raise RequestRejected("invalid_credential", str(error)) from error
        if not connection_string.verify(parsed, self._mac_keys):
            raise RequestRejected("invalid_credential", "the signature is wrong")
        if parsed.expires_at <= now:
            raise RequestRejected("expired_credential")
        standing = await self._directory.by_secret(secret_digest("connstr", raw))
        return _holder(standing, "connstr", parsed.expires_at, now)

    async def _token(self, raw: bytes, now: float) -> Principal:
        token = parse(raw)
        if token.issuer == self._own.issuer:
            return await self._own_token(token, now)
        found = self._external.get(token.issuer)
        if found is None:
            raise RequestRejected("unknown_issuer")
        return await self._external_token(token, *found, now)

    async def _own_token(self, token: Unverified, now: float) -> Principal:
        key = await self._own_key(token.kid)
        # whether the second factor came is asked of the grant: one that was lifted passes with its first token too
        audiences = (self._own.audience, pending_audience(self._own.audience))
        rules = Rules(self._own.issuer, audiences, key.algorithms, frozenset({"jwt"}), early=self._own.early)
        claims = verify(token, key, rules, now)
        grant_id = claims.get("sid")
        if not isinstance(grant_id, str) or not _UUID(grant_id):
            raise TokenInvalid("sid is missing or not a UUID")
        standing = await self._directory.by_grant(grant_id)
        caller = _holder(standing, "jwt", _expiry(claims), now)
        if claims.get("sub") not in (caller.subject, _number(caller)):
            raise TokenInvalid("sub is not the account of the grant")
        return caller

    async def _own_key(self, kid: str | None) -> VerifyingKey:
        if kid is None:
            raise TokenInvalid("kid is missing")
        if kid not in (self._token_keys or ()) and self._monotonic() - self._keys_loaded_at >= _KEY_RELOAD_SECONDS:
            await self.reload_keys()  # another node may have rotated them just now
        key = None if self._token_keys is None else self._token_keys.get(kid)
        if key is None:
            raise TokenInvalid("kid is not known")
        return key

    async def _external_token(self, token: Unverified, issuer: ExternalIssuer, rules: Rules, now: float) -> Principal:
        claims = await self._external_claims(token, issuer, rules, now)
        subject = _subject(claims)
        email = _email(claims) if issuer.email_verified else ""
        standing = await self._directory.by_subject(issuer.issuer, subject)
        if standing is None and issuer.provision:
            known_by = _address(claims) if issuer.email_verified else ""
            standing = await self._directory.provision(issuer.issuer, subject, known_by, _text(claims.get("name")))
        return _external_caller(issuer, claims, subject, email, standing)

    async def _external_claims(self, token: Unverified, issuer: ExternalIssuer, rules: Rules, now: float) -> Claims:
        if token.kid is None or token.algorithm not in rules.algorithms:
            raise TokenInvalid("kid is missing or alg is not allowed")  # before it could cause a fetch
        key = await self._jwks.key(issuer.name, token.kid)
        if key is None:
            raise TokenInvalid("kid is not known")
        return verify(token, key, rules, now)


def _rules(issuer: ExternalIssuer) -> Rules:
    return Rules(issuer.issuer, issuer.audiences, issuer.algorithms, _EXTERNAL_TYPES, issuer.leeway, issuer.verify_sub)


def _holder(standing: Standing | None, presentation: Presentation, expires_at: float, now: float) -> Principal:
    """The caller behind a grant of ours. expires_at: what the credential itself says; the earlier end counts."""
    if standing is None or standing.grant is None:
        raise RequestRejected("revoked_credential")  # it was signed by us, and its grant is gone
    grant, account = standing.grant, standing.account
    if grant.presentation != presentation:
        raise RequestRejected("invalid_credential")
    if grant.revoked_at is not None or not account.is_live:
        raise RequestRejected("revoked_credential")
    if grant.ended(now):
        raise RequestRejected("expired_credential")
    return Principal(
        subject=account.id,
        email=account.owner.email,
        issuer=INTERNAL,
        expires_at=min(expires_at, grant.expires_at),
        account=account,
        grant_id=grant.id,
        licences=_readable(standing.licences) if grant.permission == "read" else standing.licences,
        ownerships=standing.ownerships,
        tenant_id=grant.tenant_id,
        role=grant.role,
        scopes=grant.scopes,
        aal=grant.aal,
        restricted=grant.restricted,
        grant_kind=grant.kind,
    )


def _number(caller: Principal) -> str:
    """What an API whose ids are numbers calls the account."""
    return "" if caller.account is None else str(caller.account.num)


def _readable(licences: Iterable[Licence]) -> tuple[Licence, ...]:
    """Licences as a grant for reading leaves them; writing includes reading."""
    return tuple(replace(licence, permission="read") for licence in licences)


def _external_caller(
    issuer: ExternalIssuer, claims: Claims, subject: str, email: str, standing: Standing | None
) -> Principal:
    """A caller of an external issuer. Its word on second factors does not count: no setting says whom to believe."""
    expires_at, scopes = _expiry(claims) + issuer.leeway, _scopes(claims)
    if standing is None:
        return Principal(subject, email, issuer.name, expires_at, scopes=scopes)
    account = standing.account
    if not account.is_live:
        raise RequestRejected("revoked_credential")
    return Principal(
        subject=account.id,
        email=account.owner.email,
        issuer=issuer.name,
        expires_at=expires_at,
        account=account,
        licences=standing.licences,
        ownerships=standing.ownerships,
        scopes=scopes,
    )


def _expiry(claims: Claims) -> float:
    expires = claims["exp"]
    if not isinstance(expires, int | float):
        raise TokenInvalid("exp is not a time in seconds")
    return float(expires)


def _subject(claims: Claims) -> str:
    subject = claims.get("sub")
    if isinstance(subject, int) and not isinstance(subject, bool):
        subject = str(subject)  # `verify` lets a number through only where the issuer is known to write them
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT or not subject.isprintable():
        raise TokenInvalid("sub is missing or not a short text")
    return subject


def _email(claims: Claims) -> str:
    """The verified address if it is one that can stand in a header, else "". `<a@b.example>` is another's to some."""
    email = _verified(claims)
    return email if _EMAIL(email) and _address(claims) else ""


def _address(claims: Claims) -> str:
    """The verified address in the normal form that accounts are compared by, "" if it is none."""
    email = _verified(claims)
    if len(email) > _MAX_NAME or not email.isprintable() or len(email.rpartition("@")[0].encode()) > _MAX_LOCAL:
        return ""
    try:
        return addresses.address(email).text
    except RequestRejected:
        return ""


def _verified(claims: Claims) -> str:
    """The address, "" unless the issuer says that it verified this very one (a true, not a "true")."""
    email = claims.get("email")
    return email if claims.get("email_verified") is True and isinstance(email, str) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= _MAX_NAME and value.isprintable() else ""


def _scopes(claims: Claims) -> frozenset[str]:
    """`scope` (RFC 9068 section 2.2.3), else `scp`, which some issuers write as text and some as a list."""
    value = claims.get("scope", claims.get("scp"))
    if isinstance(value, str):
        return frozenset(value.split(" ")) - {""}
    if isinstance(value, list):
        return frozenset(item for item in value if isinstance(item, str))
    return frozenset()
