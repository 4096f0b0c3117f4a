"""A small world in memory: accounts, grants, keys, an issuer, and a clock that stands still until it is told."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from identity.forge import AUDIENCE, ISSUER, NOW, jwk, private_key, signing_key

from gateway.access.authenticate import Authenticator, CacheLimits
from gateway.access.jwks import Fetched, Jwks, KeySource
from gateway.access.verifiers import ExternalIssuer, OwnTokens, Verifiers
from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity import connection_string
from gateway.identity.grants import secret_digest, session_claims
from gateway.identity.model import Account, Grant, Licence, MacKey, Owner, Ownership, Principal, SigningKey, Standing
from gateway.identity.tokens import mint
from gateway.routes.model import Access, AccessKind, Route
from gateway.wire.credentials import Presented

PUBLIC_URL = "http://localhost:8080"
TENANT, OTHER_TENANT = "7a000000-0000-4000-8000-000000000001", "7a000000-0000-4000-8000-000000000002"
ACCOUNT = "ac000000-0000-4000-8000-000000000001"
GRANT = "97a00000-0000-4000-8000-000000000001"
OWNER = Owner("0e000000-0000-4000-8000-000000000001", "ada@example.org", username="ada", first_name="Ada")
ALICE = Account(ACCOUNT, "Ada", OWNER)
MAC = MacKey(1, b"m" * 64)
HOUR = 3600.0


def licence(role: str, permission: str = "read", tenant: str = TENANT, **more: object) -> Licence:
    made = Licence("acc-" + tenant[-1], "Orders", tenant, role, f"id-{role}", permission)  # type: ignore[arg-type]
    return replace(made, **more)  # type: ignore[arg-type]


LICENCES = (licence("manager", "write"), licence("reader"), licence("manager", "read", OTHER_TENANT))
OWNERSHIPS = (Ownership(TENANT, "Acme", 1_700_000_000.0), Ownership(OTHER_TENANT, "Other", 1_700_000_000.5))


def principal(account: Account | None = ALICE, **more: object) -> Principal:
    made = Principal(ACCOUNT, "ada@example.org", "internal", NOW + HOUR, account, GRANT, LICENCES, OWNERSHIPS)
    return replace(made, **more)  # type: ignore[arg-type]


def route(kind: AccessKind = AccessKind.PROTECTED, upstream: str = "orders", **access: object) -> Route:
    return Route("/orders/**", frozenset({"GET"}), upstream, Access(kind, **access))  # type: ignore[arg-type]


@dataclass
class Time:
    """now, monotonic: seconds; both move by `pass_`."""

    now: float = NOW
    monotonic: float = 1000.0

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.now, monotonic=lambda: self.monotonic)

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic += seconds


@dataclass
class Store:
    """Directory and Keyring. down: no call answers. gate: calls of the directory wait for it. log: the calls."""

    standings: dict[object, Standing] = field(default_factory=dict)
    signing: list[SigningKey] = field(default_factory=list)
    macs: list[MacKey] = field(default_factory=lambda: [MAC])
    down: set[str] = field(default_factory=set)
    gate: asyncio.Event | None = None
    log: list[str] = field(default_factory=list)
    provisioned: list[tuple[str, str, str, str]] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    async def _call(self, name: str, key: object = None) -> Standing | None:
        self.log.append(name)
        if name in self.down:
            raise DependencyFailed("store_unavailable")
        found = self.standings.get(key)
        self.during()
        if self.gate is not None:
            await self.gate.wait()
        return found

    async def by_grant(self, grant_id: str) -> Standing | None:
        return await self._call("by_grant", grant_id)

    async def by_secret(self, digest: bytes) -> Standing | None:
        return await self._call("by_secret", digest)

    async def by_subject(self, issuer: str, subject: str) -> Standing | None:
        return await self._call("by_subject", (issuer, subject))

    async def provision(self, issuer: str, subject: str, email: str, name: str) -> Standing:
        await self._call("provision")
        self.provisioned.append((issuer, subject, email, name))
        return Standing(replace(ALICE, owner=replace(OWNER, email=email)), None)

    async def signing_keys(self) -> Sequence[SigningKey]:
        keys = tuple(self.signing)
        await self._call("signing_keys")
        return keys

    async def mac_keys(self) -> Sequence[MacKey]:
        await self._call("mac_keys")
        return tuple(self.macs)


@dataclass
class Site:
    """The issuer's key set address. fails: it does not answer. gate: it answers when that is set."""

    document: bytes = b""
    max_age: float | None = None
    fails: bool = False
    gate: asyncio.Event | None = None
    fetches: int = 0

    async def __call__(self, url: str) -> Fetched:
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise DependencyFailed("keys_unavailable")
        return Fetched(self.document, self.max_age)

    def publish(self, *entries: object) -> None:
        self.document = json.dumps({"keys": entries}).encode()


EXTERNAL = ExternalIssuer("acme", ISSUER, (AUDIENCE,), frozenset({"RS256"}), leeway=0)


class World:
    """Everything that authentication touches, wired as the composition root does it."""

    def __init__(
        self, *issuers: ExternalIssuer, limits: CacheLimits | None = None, generation: int = 0, stale: float = 86400.0
    ) -> None:
        self.time = Time()
        self.store = Store(signing=[signing_key("EdDSA"), signing_key("EdDSA", "a1", purpose="assertion")])
        self.site = Site()
        self.site.publish(jwk(private_key("RS256")))
        chosen = issuers or (EXTERNAL,)
        sources = [KeySource(issuer.name, f"http://127.0.0.1/{issuer.name}", stale) for issuer in chosen]
        self.jwks = Jwks(sources, self.site, self.time.clock)
        own = OwnTokens(PUBLIC_URL, PUBLIC_URL)
        self.verifiers = Verifiers(self.store, self.store, self.jwks, own, chosen, self.time.clock)
        self.authenticator = Authenticator(self.verifiers, limits or CacheLimits(), generation)

    def add(self, grant: Grant, account: Account = ALICE, digest: bytes | None = None) -> None:
        self.store.standings[digest or grant.id] = Standing(account, grant, LICENCES, OWNERSHIPS)

    def session(self, grant_id: str = GRANT, account: Account = ALICE, **grant: object) -> Presented:
        """A JWT of ours whose grant is stored."""
        made = Grant(grant_id, account.id, "session", "jwt", NOW, NOW + HOUR)
        self.add(replace(made, **grant), account)  # type: ignore[arg-type]
        claims = session_claims(made, account, PUBLIC_URL, PUBLIC_URL)
        return Presented("jwt", mint(claims, self.store.signing[0]).encode())

    def opaque(self, secret: bytes = b"myc_secret", account: Account = ALICE, **grant: object) -> Presented:
        made = Grant(GRANT, account.id, "api_key", "opaque", NOW, NOW + HOUR)
        self.add(replace(made, **grant), account, secret_digest("opaque", secret))  # type: ignore[arg-type]
        return Presented("opaque", secret)

    def connection(self, until: float = NOW + HOUR, key: MacKey = MAC, **grant: object) -> Presented:
        raw = connection_string.mint(ACCOUNT, TENANT, "manager", until, key)
        made = Grant(GRANT, ACCOUNT, "connection", "connstr", NOW, until, TENANT, "manager")
        self.add(replace(made, **grant), ALICE, secret_digest("connstr", raw))  # type: ignore[arg-type]
        return Presented("connection_string", raw)
