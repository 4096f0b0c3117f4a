"""A gateway whose caches are cold, callers with a credential of each kind, and what counts what is under way."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.test_decide import DECIDE
from harness.client import Client, request
from harness.people import DAY, MASTER_KEY, PUBLIC_URL, Pass, issue
from harness.site import ROUTES, Running, Site, until
from harness.upstream import Line, Script, Upstream
from identity.forge import ISSUER, jwk, private_key, token

from gateway.clock import Clock
from gateway.edge.pool import Upstream as Pool
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.grants import Grants, Terms, session_claims
from gateway.identity.keys import Keys, active
from gateway.identity.tokens import mint
from gateway.store.schema import migrate
from gateway.store.seal import master_key
from gateway.store.sql import Store, open_store

ANOTHER_KEY: Final = base64.b64encode(bytes(range(100, 132))).decode()  # in the place of the master key
ANSWER: Final = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
NARROW: Final = {"path": "/narrow/**", "access": "protected", "upstream": "narrow"}
LONG: Final = 100_000.0  # seconds: longer than an issuer's keys stay good
WINDOW: Final = 60.0  # longer than that of unknown kids, and than the rest after a failed fetch


@dataclass(frozen=True, slots=True)
class Held:
    """What one account can present; each is a whole field line."""

    token: Pass
    restricted: bytes
    key: bytes
    string: bytes


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """As another process has it, with the master key that is going to be replaced."""
    store = await open_store(url, master_key(MASTER_KEY), Clock())
    try:
        yield store
    finally:
        await store.aclose()


async def migrated(url: str) -> None:
    """A database that has its tables, and keys."""
    await migrate(url)
    async with opened(url) as store:
        await Keys(store.keys, Clock()).ensure("EdDSA")


async def seal_anew(url: str) -> None:
    """As `gateway keys rotate --kind master` does it: everything is sealed with another data key."""
    store = await open_store(url, master_key(ANOTHER_KEY), Clock(), previous=master_key(MASTER_KEY))
    try:
        await store.changes().master_key(store.masters, asyncio.sleep, settle=0.0).change()
    finally:
        await store.aclose()


async def furnished(url: str) -> Held:
    """An account with a role, and a credential of each kind."""
    async with opened(url) as store:
        return await _held(store, Clock())


async def _held(store: Store, clock: Clock) -> Held:
    accounts = Accounts(store.accounts, store.tenants, store.roles, clock)
    carol = await accounts.create_account(NewAccount("carol@example.org", username="carol"))
    tenant = await accounts.create_tenant("Wayside", carol.id)
    await accounts.assign_role(carol.id, tenant.id, "manager", "write")
    grants = Grants(store.grants, store.keys, clock)
    half = await grants.issue_session(carol.id, Terms(DAY, restricted=True))
    signer = active(await store.keys.signing_keys(), "token")
    string = await grants.create_connection_string(carol.id, tenant.id, "manager", clock.now() + DAY, "ways")
    return Held(
        await issue(store, carol),
        b"Authorization: Bearer " + mint(session_claims(half, carol, PUBLIC_URL, PUBLIC_URL), signer).encode(),
        b"Authorization: Bearer " + (await grants.issue_opaque(carol.id, Terms(DAY))).secret.encode(),
        b"x-mycelium-connection-string: " + string.secret.encode(),
    )


@dataclass
class Grounds:
    """A gateway, and what is around it. published: the kids of the issuer's keys.

    upstream: has an answer for everything. narrow: takes one connection at a time; what ends in /y waits for `go`
    there, and so do the issuer's keys. beginning: what takes all room of a turn of the loop.
    """

    site: Site
    running: Running
    store_url: str
    held: Held
    upstream: Upstream
    narrow: Upstream
    published: list[str]
    go: asyncio.Event
    strangers: int = 0
    beginning: list[asyncio.Task[None]] = field(default_factory=list)
    tokens: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @property
    def forwarded(self) -> int:
        """Requests for .../x that have reached an upstream, whole or in part."""
        lines = [line for upstream in (self.upstream, self.narrow) for line in upstream.lines]
        return sum(len(line.received) > 0 and b"/narrow/y" not in line.received for line in lines)

    @property
    def core(self) -> Any:
        return self.running.gateway.core

    @property
    def asking(self) -> list[object]:
        return [client for client in self.running.gateway.edge.clients if client.active is not None]

    @property
    def pools(self) -> set[Pool]:
        lanes = self.running.gateway.edge.generation.lanes.values()
        return {lane.upstream for lane in lanes if lane.upstream is not None}

    async def chill(self, seconds: float = WINDOW) -> None:
        """Nothing is remembered of anybody, and what failed may be tried again."""
        self.running.hand.rested += seconds
        self.core.authenticator.purge_all()
        for pool in self.pools:
            for endpoint in pool.endpoints:
                endpoint.close_idle(float("inf"))
        await soon(lambda: not any(endpoint.open for pool in self.pools for endpoint in pool.endpoints))

    async def ask(self, *fields: bytes, path: str = "/secure/x") -> int:
        return await status(await self.sent(request(path, *fields)))

    async def sent(self, question: bytes) -> Client:
        """On a connection of its own."""
        client = await self.site.client(self.running)
        await client.send(question)
        return client

    def external(self, subject: str, kid: str = "k1") -> bytes:
        known = self.tokens.get((subject, kid))
        if known is not None:
            return known
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "gateway", "sub": subject, "iat": now, "exp": now + 3600}
        claims |= {"email": f"{subject}@example.com", "email_verified": True, "name": subject}
        made = b"Authorization: Bearer " + token(private_key("RS256"), claims=claims, kid=kid)
        self.tokens[subject, kid] = made
        return made

    def under_way(self) -> dict[str, object]:
        """Everything that counts what is going on; each is false when nothing is."""
        gateway = self.running.gateway
        crowds = [pool.ledger for pool in self.pools]
        return {
            "exchanges": self.asking,
            "outstanding": sum(endpoint.outstanding for pool in self.pools for endpoint in pool.endpoints),
            "crowds": sum(ledger.under_way + ledger.waiting + ledger.dialing + len(ledger.queue) for ledger in crowds),
            "seats": gateway.counts.under_way,
            "flights": self.core.authenticator._flights,
            "fetches": [keys for keys in self.core.jwks._issuers.values() if keys.flight is not None],
            "reads": gateway._store.usage()["calls"],
        }


async def soon(condition: Callable[[], object]) -> None:
    """As `until`, but mostly it takes a few turns of the loop, and there are many to wait for."""
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0)
    await until(condition, 20)


async def status(client: Client) -> int:
    try:
        return (await asyncio.wait_for(client.answer(), 20)).status
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0


def _around(published: Sequence[str], go: asyncio.Event) -> tuple[Script, Script, Script]:
    """The servers around it: the issuer's keys, which wait for `go`; answers to everything; and the same, but what ends
    in /y waits.
    """

    async def keys(line: Line) -> None:
        await line.request()
        await go.wait()
        document = json.dumps({"keys": [jwk(private_key("RS256"), kid) for kid in published]}).encode()
        line.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(document), document)

    async def answering(line: Line) -> None:
        await line.request()
        line.send(ANSWER)

    async def hanging(line: Line) -> None:
        got = await line.request()
        if got.target.endswith(b"/y"):
            await go.wait()
        line.send(ANSWER)

    return keys, answering, hanging


def _settings(another_key: Path, issuers: Upstream, narrow: Upstream) -> dict[str, Any]:
    issuer = {
        "name": "acme",
        "issuer": ISSUER,
        "jwks_url": f"{issuers.url}/jwks",
        "audiences": ["gateway"],
        "algorithms": ["RS256"],
        "provision": True,
        "email": "verified",
    }
    return {
        "secrets": {"master_key": {"file": str(another_key)}, "previous_master_key": {"file": "master.key"}},
        "issuers": [issuer],
        "decide": DECIDE,
        "upstreams": {"narrow": {"endpoints": [narrow.url], "limits": {"connections": 1}}},
        "routes": [*ROUTES, NARROW],
        "route": {"limits": {"concurrency": 100}},
    }


async def laid_out(site: Site, folder: Path, url: str | None = None) -> Grounds:
    """folder: for a file. url: of the database; None for the SQLite file beside the configuration."""
    published, go = ["k1"], asyncio.Event()
    go.set()
    site.expected_errors = True
    issuers, upstream, narrow = [await site.upstream(script) for script in _around(published, go)]
    another = folder / "another.key"
    another.write_text(ANOTHER_KEY)
    settings = _settings(another, issuers, narrow)
    if url is not None:
        settings["store"] = {"url": url}
    running = await site.gateway(upstream, **settings)
    url = url or running.people.store_url
    held = await furnished(url)
    await running.gateway.poll.look()  # what is told of carol's roles now would end her requests later on
    grounds = Grounds(site, running, url, held, upstream, narrow, published, go)
    assert await grounds.ask(grounds.external("regular")) == 200  # has an account since
    return grounds
