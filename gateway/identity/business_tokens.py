"""The JWT of an API whose accounts are numbers and belong to a business: Mployr's, RS256 (seed 2, `Token Contents`).

It is a token of ours like any other: it lives as long as its grant (`sid`), and the gateway asks that one.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from gateway.clock import Clock
from gateway.identity.keys import signing_key
from gateway.identity.model import Account, Assignment, Grant
from gateway.identity.ports import Keyring
from gateway.identity.sessions import Terms
from gateway.identity.tokens import Claims, mint_aside


class Roles(Protocol):
    """The part of `identity.ports.RoleStore` that is used here."""

    async def assignments(self, account_id: str) -> Sequence[Assignment]: ...


class BusinessTokens:
    """terms: issuer and audience count; a lifetime is the grant's."""

    def __init__(self, keyring: Keyring, roles: Roles, terms: Terms, clock: Clock) -> None:
        self._keyring = keyring
        self._roles = roles
        self._terms = terms
        self._clock = clock

    async def prepare(self, account: Account) -> Callable[[Grant], Awaitable[str]]:
        """`identity.steps.Mint`. Raises DependencyFailed, also where there is no key to sign with, and
        RequestRejected("not_found") for an account that is not there."""
        key = await signing_key(self._keyring, "mployr")
        held = [role for role in await self._roles.assignments(account.id) if role.accepted]
        return lambda grant: mint_aside(self._claims(grant, account, held), key)

    def _claims(self, grant: Grant, account: Account, held: Iterable[Assignment]) -> Claims:
        """sub: the account's number as text, as RFC 7519 wants it. iat: the moment that `exp` counts from, which for
        a renewed grant is its renewal, not the login. business_id: the id of the one tenant that the roles are held
        in; absent for none or several.
        """
        businesses = {role.tenant_id for role in held}
        claims: dict[str, object] = {
            "iss": self._terms.issuer,
            "aud": self._terms.audience,
            "sub": str(account.num),
            "sid": grant.id,
            "jti": self._clock.uuid4(),
            "iat": int(grant.last_used_at or grant.created_at),
            "exp": int(grant.expires_at),
            "scopes": scopes(held),
        }
        return claims | {"business_id": businesses.pop()} if len(businesses) == 1 else claims


def scopes(held: Iterable[Assignment]) -> list[str]:
    """`role:permission` of each, each once, sorted; in whatever tenant. Writing does not spell out reading."""
    return sorted({f"{one.role}:{one.permission}" for one in held})
