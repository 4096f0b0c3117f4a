"""An authenticator that knows a few credentials by heart, and a log that keeps what it is told."""

from dataclasses import dataclass, field

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import Account, Licence, Owner, Ownership, Principal
from gateway.wire.credentials import Presented

TENANT, OTHER = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"

ACCOUNT = Account(id="acc", name="Ada", owner=Owner(id="own", email="ada@example.com"))


def licence(tenant_id: str, role: str) -> Licence:
    return Licence(f"account of {tenant_id}", "Acme", tenant_id, role, f"id of {role}", "write")


LICENCES = (licence(TENANT, "manager"), licence(TENANT, "reader"), licence(OTHER, "reader"))
OWNERSHIPS = (Ownership(TENANT, "Acme", 1.0), Ownership(OTHER, "Other", 1.0))


def principal(**changes: object) -> Principal:
    given = {"account": ACCOUNT, "licences": LICENCES, "ownerships": OWNERSHIPS, **changes}
    return Principal(subject="acc", email="ada@example.com", issuer="internal", expires_at=2e9, **given)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Holding:
    principal: Principal


KNOWN = {
    b"whole": principal(),
    b"stranger": principal(account=None, licences=(), ownerships=()),
    b"pending": principal(restricted=True),
    b"acc=1;r=reader": principal(tenant_id=TENANT, role="reader"),
}


@dataclass
class Knowing:
    """recall knows what verify has seen; `recalled` and `verified` count."""

    cache: dict[bytes, Holding] = field(default_factory=dict)
    verified: int = 0

    def recall(self, presented: Presented, now: float) -> Holding | RequestRejected | None:
        if presented.raw == b"revoked":
            return RequestRejected("revoked_credential")
        return self.cache.get(presented.raw)

    async def verify(self, presented: Presented, now: float) -> Holding:
        self.verified += 1
        if presented.raw == b"down":
            raise DependencyFailed("store_unavailable", retry_after=3)
        if presented.raw == b"bug":
            raise ZeroDivisionError("a mistake of ours")
        if presented.raw not in KNOWN:
            raise RequestRejected("invalid_credential")
        self.cache[presented.raw] = Holding(KNOWN[presented.raw])
        return self.cache[presented.raw]
