"""Who calls the built-in application: the very credentials, cache and rules of the edge."""

from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from gateway.errors import RequestRejected
from gateway.identity.model import Principal
from gateway.wire.credentials import Presented, present


class Verified(Protocol):
    """A credential that holds."""

    @property
    def principal(self) -> Principal: ...


class Authenticator(Protocol):
    """The edge's own authenticator, as far as it is needed here."""

    def recall(self, presented: Presented, now: float) -> Verified | RequestRejected | None:
        """What the cache knows; None when it knows nothing."""

    async def verify(self, presented: Presented, now: float) -> Verified:
        """Raises RequestRejected (a 401) or DependencyFailed (a 503)."""


class Callers:
    """connection_string: name of the header that carries one. now: seconds since the epoch."""

    def __init__(self, authenticator: Authenticator, connection_string: str, now: Callable[[], float]) -> None:
        self._authenticator = authenticator
        self._connection_string = connection_string
        self._now = now

    async def principal(self, request: web.Request, *, pending: bool = False) -> Principal:
        """The caller. Raises RequestRejected: 401 without a valid credential, or with a second factor to come, unless
        `pending` ones may pass.
        """
        presented = present(_only(request, self._connection_string), _only(request, "Authorization"))
        if presented is None:
            raise RequestRejected("no_credential")
        found = self._authenticator.recall(presented, self._now())
        if isinstance(found, RequestRejected):
            raise found
        principal = (found or await self._authenticator.verify(presented, self._now())).principal
        if principal.restricted and not pending:
            raise RequestRejected("mfa_required")
        return principal


def _only(request: web.Request, name: str) -> bytes | None:
    """The header's bytes as they came. Two of them are two credentials, and choosing one would be a guess (S-27)."""
    values = request.headers.getall(name, ())
    if len(values) > 1:
        raise RequestRejected("duplicate_credential")
    return values[0].encode("utf-8", "surrogateescape") if values else None
