"""What the identity core and authentication need from a store. Each call raises DependencyFailed("store_unavailable")
when the store does not answer, and never answers "no" instead.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.identity.model import MacKey, Revocation, SigningKey, Standing


class Directory(Protocol):
    """Reads of a cold authentication: one hand-written query each. Usually done without suspending."""

    async def by_grant(self, grant_id: str) -> Standing | None:
        """The grant with this id (a JWT's `sid`), dead or alive, with its account, licences and ownerships."""

    async def by_secret(self, digest: bytes) -> Standing | None:
        """The grant whose presented secret has this digest (see `identity.grants.secret_digest`)."""

    async def by_subject(self, issuer: str, subject: str) -> Standing | None:
        """The account linked to an external identity; grant is None."""

    async def provision(self, issuer: str, subject: str, email: str, name: str) -> Standing:
        """Create an account for an external identity, or return the one that another request just made."""


class Keyring(Protocol):
    """Keys at rest, decrypted with the master key."""

    async def signing_keys(self) -> Sequence[SigningKey]: ...

    async def mac_keys(self) -> Sequence[MacKey]:
        """Live keys, newest first, three at most."""


class Revocations(Protocol):
    """The table that workers poll twice a second."""

    async def since(self, last_id: int) -> Sequence[Revocation]:
        """Rows with a greater id, oldest first."""

    async def latest(self) -> int:
        """The greatest id, 0 when there is none."""
