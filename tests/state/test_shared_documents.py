"""Key documents of issuers: one node's fetch serves all, and what somebody else put into Redis serves nobody."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
from access.world import Site, Time
from harness.redis import Server, Servers, Way, until_async
from identity.forge import jwk, rsa_key

from gateway.access.jwks import REFRESH_DEFAULT, Jwks, KeySource
from gateway.errors import DependencyFailed
from gateway.state.documents import LOOK_SECONDS, LOOKS, SharedDocuments
from gateway.store.seal import Sealer, derived

FIRST, SECOND, EVIL = jwk(rsa_key(), "k1"), jwk(rsa_key(name="other"), "k2"), jwk(rsa_key(name="evil"), "evil")
MASTER_KEY = bytes(range(32))
OURS = derived(MASTER_KEY, "shared state")


class Fleet:
    """Nodes over one Redis, and the issuer's address that they share. time: of all of them. sleeps: between looks."""

    def __init__(self, way: Way) -> None:
        self.way, self.site, self.time = way, Site(), Time()
        self.site.publish(FIRST)
        self.sleeps = 0

    def node(
        self,
        name: str = "acme",
        url: str = "http://127.0.0.1/acme",
        key: bytes = MASTER_KEY,
        pause: float = LOOK_SECONDS,
    ) -> Jwks:
        """pause: in the place of the time between looks."""

        async def sleep(_: float) -> None:
            self.sleeps += 1
            await asyncio.sleep(pause)

        clock = self.time.clock
        sealer = Sealer(derived(key, "shared state"), clock.token_bytes)
        documents = SharedDocuments(self.way.link, self.way.names, sealer, clock, sleep)
        return Jwks([KeySource(name, url)], self.site, clock, documents=documents)

    @property
    def name(self) -> str:
        return self.way.names.document("acme", "http://127.0.0.1/acme")

    async def put(self, value: bytes) -> None:
        await self.way.client.set(self.name, value, px=60_000)

    async def lapse(self, *leases: str) -> None:
        """Redis' time does not go by in a test."""
        for lease in leases:
            await self.way.client.set(f"{self.name}:{lease}", b"0", px=1)
        await asyncio.sleep(0.01)


@pytest.fixture
async def fleet(servers: Servers) -> AsyncIterator[Fleet]:
    async with Way(servers.single().url) as way:
        yield Fleet(way)


async def test_one_fetch_serves_all_nodes(fleet: Fleet) -> None:
    """Also when they all start at once."""
    nodes = [fleet.node() for _ in range(5)]
    found = await asyncio.gather(*(node.key("acme", "k1") for node in nodes))
    assert None not in found
    assert fleet.site.fetches == 1


async def test_nobody_overtakes_a_slow_fetch(fleet: Fleet) -> None:
    """Twenty nodes, and an issuer that takes most of the time that a fetch may take: one fetch, and nobody fails."""
    fleet.site.gate = asyncio.Event()
    nodes = [fleet.node(pause=0.001) for _ in range(20)]
    asking = [asyncio.create_task(node.key("acme", "k1")) for node in nodes]
    turn = f"{fleet.name}:turn"
    await until_async(lambda: fleet.sleeps >= 19 * (LOOKS - 15), "looks that last as long as a fetch")
    assert await fleet.way.client.get(turn) is not None
    fleet.site.gate.set()
    assert None not in await asyncio.gather(*asking)
    assert fleet.site.fetches == 1


async def test_a_fetch_that_failed_keeps_nobody_waiting(fleet: Fleet) -> None:
    """The others try for themselves: it may be that node alone that cannot reach the issuer."""
    fleet.site.fails = True
    with pytest.raises(DependencyFailed):
        await fleet.node().key("acme", "k1")
    fleet.site.fails = False
    assert await fleet.node().key("acme", "k1") is not None
    assert fleet.sleeps == 0


async def test_a_document_of_another_node_is_as_old_as_it_is(fleet: Fleet) -> None:
    """It is not young again in each node that takes it."""
    await fleet.node().key("acme", "k1")
    fleet.time.pass_(REFRESH_DEFAULT - 1)
    late = fleet.node()
    await late.key("acme", "k1")
    assert (late.ages(), fleet.site.fetches) == ({"acme": REFRESH_DEFAULT - 1}, 1)


async def test_a_document_that_is_to_be_fetched_anew_is(fleet: Fleet) -> None:
    """The other side of it."""
    await fleet.node().key("acme", "k1")
    fleet.time.pass_(REFRESH_DEFAULT)
    await fleet.lapse("turn")
    await fleet.node().key("acme", "k1")
    assert fleet.site.fetches == 2


async def test_a_rotated_key_is_fetched_by_one_and_found_by_all(fleet: Fleet) -> None:
    """An unknown kid at every node, one after the other."""
    nodes = [fleet.node() for _ in range(3)]
    for node in nodes:
        await node.key("acme", "k1")
    fleet.time.pass_(1)
    fleet.site.publish(FIRST, SECOND)
    found = [await node.key("acme", "k2") for node in nodes]
    assert None not in found
    assert fleet.site.fetches == 2


async def test_random_kids_cause_one_fetch_in_a_window_across_the_fleet(fleet: Fleet) -> None:
    """S-33, however many nodes are asked: each says no, and none says that it does not know."""
    nodes = [fleet.node() for _ in range(4)]
    for node in nodes:
        await node.key("acme", "k1")
    fleet.time.pass_(1)
    for number in range(40):
        assert await nodes[number % 4].key("acme", f"random-{number}") is None
    assert fleet.site.fetches == 2


async def test_an_unknown_kid_is_unknown_while_nobody_can_fetch(fleet: Fleet) -> None:
    """The node whose turn it was failed: the others say 503, not 401, as it may be a new key."""
    first, second = fleet.node(), fleet.node()
    for node in (first, second):
        await node.key("acme", "k1")
    fleet.time.pass_(1)
    fleet.site.fails = True
    for node in (first, second):
        with pytest.raises(DependencyFailed, match="keys_unavailable"):
            await node.key("acme", "new")
    assert await second.key("acme", "k1") is not None
    assert fleet.site.fetches == 2


Forge = Callable[[Fleet], bytes]


def sealed(key: bytes, place: str, body: bytes) -> bytes:
    return Sealer(key, Time().clock.token_bytes).seal(body, place)


def good(body: bytes, at: str = "1800000001") -> bytes:
    """As a node would have put it."""
    return sealed(OURS, PLACE, body.replace(b"1800000001", at.encode()))


def altered(document: bytes) -> bytes:
    return document[:-1] + bytes([document[-1] ^ 1])


EVIL_DOCUMENT = b'{"body": "{\\"keys\\": []}", "max_age": null, "at": 1800000001.0}'
PLACE = "state:keys:acme:http://127.0.0.1/acme"
FORGED: dict[str, Forge] = {
    "plain": lambda _: b'{"keys": []}',
    "empty": lambda _: b"",
    "of another master key": lambda _: sealed(derived(bytes(32), "shared state"), PLACE, EVIL_DOCUMENT),
    "of the master key itself": lambda _: sealed(MASTER_KEY, PLACE, EVIL_DOCUMENT),
    "of another issuer": lambda _: sealed(OURS, PLACE.replace("acme:", "evil:"), EVIL_DOCUMENT),
    "of another address": lambda _: sealed(OURS, PLACE + "2", EVIL_DOCUMENT),
    "of the future": lambda _: good(EVIL_DOCUMENT, "1900000000"),
    "of the past": lambda _: good(EVIL_DOCUMENT, "1700000000"),
    "altered": lambda _: altered(good(EVIL_DOCUMENT)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FORGED))
async def test_what_is_not_a_fresh_document_of_this_issuer_is_not_believed(fleet: Fleet, name: str) -> None:
    """The node fetches for itself."""
    await fleet.put(FORGED[name](fleet))
    assert await fleet.node().key("acme", "k1") is not None
    assert fleet.site.fetches == 1


async def test_a_document_of_ours_is_believed(fleet: Fleet) -> None:
    """The other side: the forgeries above differ from this by one thing each."""
    body = json.dumps({"body": fleet.site.document.decode(), "max_age": None, "at": 1800000001.0}).encode()
    await fleet.put(good(body))
    fleet.time.now = 1800000001.0
    assert await fleet.node().key("acme", "k1") is not None
    assert fleet.site.fetches == 0


async def test_a_document_is_no_other_issuers(fleet: Fleet) -> None:
    """One address for two issuers: each has what was fetched for it."""
    await fleet.node().key("acme", "k1")
    await fleet.node("other").key("other", "k1")
    assert fleet.site.fetches == 2


async def test_what_is_no_key_set_is_offered_to_nobody(fleet: Fleet) -> None:
    """Every node sees for itself."""
    fleet.site.document = b"<html>"
    with pytest.raises(DependencyFailed):
        await fleet.node().key("acme", "k1")
    assert await fleet.way.client.get(fleet.name) is None


async def test_a_node_whose_turn_never_ends_holds_up_nobody(fleet: Fleet) -> None:
    """It died while fetching: the next waits as long as that may take, and fetches."""
    await fleet.way.client.set(f"{fleet.name}:turn", b"1", px=60_000)
    assert await fleet.node(pause=0.0).key("acme", "k1") is not None
    assert fleet.sleeps == LOOKS


async def test_without_redis_each_node_fetches(servers: Servers) -> None:
    """And has its own window for unknown kids."""
    server: Server = servers.single()
    async with Way(server.url) as way:
        fleet = Fleet(way)
        server.kill()
        nodes = [fleet.node(), fleet.node()]
        for node in nodes:
            assert await node.key("acme", "k1") is not None
            for number in range(5):
                assert await node.key("acme", f"random-{number}") is None
        assert fleet.site.fetches == 4
