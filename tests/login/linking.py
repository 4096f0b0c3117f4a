"""An open store with the linking services over it, an external issuer, and callers as the application makes them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from access.world import World as Outside
from identity.forge import CLAIMS, private_key, token
from store.world import HOUR, MASTER_KEY, Hand, World

from gateway.access.verifiers import OwnTokens, Verifiers
from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.grants import session_claims
from gateway.identity.links import Links
from gateway.identity.model import Account, Principal
from gateway.identity.origin import Origin
from gateway.identity.telegram_logins import TelegramLogins
from gateway.identity.throttle import Throttle
from gateway.identity.tokens import mint
from gateway.login.dialect import Call, Endpoint, Reply
from gateway.login.mycelium.links import LinkEndpoints
from gateway.login.mycelium.telegram import TelegramEndpoints
from gateway.store.links import Links as LinkStore
from gateway.store.schema import migrate
from gateway.store.seal import Sealer
from gateway.store.sql import open_store
from gateway.store.telegram import TelegramBots
from gateway.wire.credentials import Presented

ORIGIN = Origin("192.0.2.1", "curl/8.5.0")
OWN = OwnTokens("http://localhost:8080", "http://localhost:8080")


def external(subject: str = "alice", **claims: object) -> str:
    """A token of the external issuer."""
    return token(private_key("RS256"), claims={**CLAIMS, "sub": subject, **claims}).decode()


@dataclass
class Heard:
    """Notices, remembered. log: `changed` and `posted`."""

    log: list[str] = field(default_factory=list)

    async def changed(self, grant_id: str | None) -> None:
        self.log.append("changed")

    def posted(self) -> None:
        self.log.append("posted")


@dataclass
class Linking:
    """heard: what the running gateway was told."""

    world: World
    heard: Heard = field(default_factory=Heard)
    outside: Outside = field(default_factory=Outside)
    links: Links = field(init=False)
    logins: TelegramLogins = field(init=False)
    endpoints: dict[tuple[str, str], Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        clock, database = self.world.clock, self.world.store.changes().database
        sealer = Sealer(MASTER_KEY, clock.token_bytes)
        proof, throttle = self.outside.verifiers, Throttle(clock)
        self.links = Links(LinkStore(database, sealer, clock), proof, throttle, self.heard, clock)
        self.logins = TelegramLogins(
            TelegramBots(database, sealer, clock), self.links, self.world.grants, throttle, clock
        )
        found = [*LinkEndpoints(self.links, "/_adm").endpoints(), *TelegramEndpoints(self.logins, "/_adm").endpoints()]
        self.endpoints = {(endpoint.method, endpoint.path): endpoint for endpoint in found}

    async def session(self, account: Account, /, **changes: object) -> Principal:
        """A caller who logged in. changes: of the principal, to something less."""
        grant = await self.world.grants.issue_session(account.id, HOUR)
        keys = await self.world.store.keys.signing_keys()
        claims = session_claims(grant, account, OWN.issuer, OWN.audience)
        raw = mint(claims, next(key for key in keys if key.purpose == "token")).encode()
        return replace(await self.presented(Presented("jwt", raw)), **changes)  # type: ignore[arg-type]

    async def connected(self, connection_string: str) -> Principal:
        return await self.presented(Presented("connection_string", connection_string.encode()))

    async def presented(self, presented: Presented) -> Principal:
        """Whom the gateway takes this credential for."""
        store, clock = self.world.store, self.world.clock
        verifiers = Verifiers(store.directory, store.keys, self.outside.jwks, OWN, (), clock)
        return await verifiers.principal(presented, clock.now())

    async def call(self, method: str, path: str, principal: Principal | None = None, **parts: object) -> Reply:
        """What an endpoint answers. parts: of the call."""
        call = Call(ORIGIN, principal=principal, **parts)  # type: ignore[arg-type]
        return await self.endpoints[method, path].handler(call)

    async def refused(self, method: str, path: str, principal: Principal | None = None, **parts: object) -> str:
        """The code of the refusal."""
        try:
            reply = await self.call(method, path, principal, **parts)
        except RequestRejected as fault:
            return fault.code
        raise AssertionError(f"not refused: {reply.status}")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Linking]:
    url = f"sqlite:///{folder}/gateway.db"
    await migrate(url)
    hand = Hand()
    clock = Clock(now=hand.now)
    store = await open_store(url, MASTER_KEY, clock)
    world = World(url, store, hand, clock)
    await world.keys.ensure("EdDSA")
    try:
        yield Linking(world)
    finally:
        await store.aclose()
