"""The JWT of an API whose accounts are numbers and belong to a business: Mployr's, RS256 (seed 2, `Token Contents`).

It is a token of ours like any other: it lives as long as its grant (`sid`), and the gateway asks that one.
"""

from collections.abc import Iterable
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.keys import active
from gateway.identity.model import Account, Grant, Licence, Standing
from gateway.identity.ports import Keyring
from gateway.identity.sessions import Terms
from gateway.identity.tokens import Claims, mint


class Standings(Protocol):
    """The part of `identity.ports.Directory` that is used here."""

    async def by_grant(self, grant_id: str) -> Standing | None: ...


class BusinessTokens:
    """terms: issuer and audience count; a lifetime is the grant's."""

    def __init__(self, keyring: Keyring, standings: Standings, terms: Terms, clock: Clock) -> None:
        self._keyring = keyring
        self._standings = standings
        self._terms = terms
        self._clock = clock

    async def mint(self, grant: Grant, account: Account) -> str:
        """`identity.steps.Mint`. Raises DependencyFailed, also where there is no key to sign with."""
        standing = await self._standings.by_grant(grant.id)
        held = [] if standing is None else [licence for licence in standing.licences if licence.verified]
        try:
            key = active(await self._keyring.signing_keys(), "mployr")
        except RequestRejected as error:
            raise DependencyFailed("keys_unavailable", error.detail) from error
        return mint(self._claims(grant, account, held), key)

    def _claims(self, grant: Grant, account: Account, held: Iterable[Licence]) -> Claims:
        """sub: the account's number as text, as RFC 7519 wants it. iat: now, which for a renewed grant is not when it
        began. business_id: the id of the one tenant that the licences are of; absent for none or several.
        """
        businesses = {licence.tenant_id for licence in held}
        claims: dict[str, object] = {
            "iss": self._terms.issuer,
            "aud": self._terms.audience,
            "sub": str(account.num),
            "sid": grant.id,
            "jti": self._clock.uuid4(),
            "iat": int(self._clock.now()),
            "exp": int(grant.expires_at),
            "scopes": scopes(held),
        }
        return claims | {"business_id": businesses.pop()} if len(businesses) == 1 else claims


def scopes(held: Iterable[Licence]) -> list[str]:
    """`role:permission` of each licence, each once, sorted; in whatever tenant. Writing does not spell out reading."""
    return sorted({f"{licence.role}:{licence.permission}" for licence in held})
