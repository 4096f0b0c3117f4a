"""Every form of `state.url`, against real servers: attempts are counted, news arrive, and a failover is survived."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from harness.certificates import Authority
from harness.ports import free_port
from harness.redis import LOOPBACK, SERVICE, Server, Servers, Way, until_async
from redis.asyncio import Redis

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.counting import Count, Held, Over
from gateway.identity.limits import ACCOUNT, NETWORK, PAIR
from gateway.identity.meter import Quota
from gateway.state.channel import Channel
from gateway.state.connection import disconnect
from gateway.state.counters import RedisCounters
from gateway.state.meter import RedisMeter

ROOT = Path(__file__).parents[2]
RIGHTS_WRITTEN = re.compile(r"ACL SETUSER gateway on '>[^']*' (.*)")
COUNTS = [Count(NETWORK, "n"), Count(PAIR, "ann@n"), Count(ACCOUNT, "ann")]


async def used_up(way: Way) -> list[bool]:
    """Whether each of six uses of the same was held: five are."""
    counters = RedisCounters(way.link, way.names, Clock())
    return [isinstance(await counters.reserve(COUNTS), Held) for _ in range(6)]


@asynccontextmanager
async def listening(way: Way) -> AsyncIterator[Channel]:
    """A subscribed channel, whose first look is over."""

    async def look() -> None:
        return

    channel = Channel(way.link, way.names.channel, look)
    channel.start()
    try:
        await until_async(lambda: channel.subscribed and channel.looks, "a subscription")
        yield channel
    finally:
        await channel.aclose()


async def works(way: Way) -> None:
    """Counts of attempts and calls, what is known, and news."""
    assert await used_up(way) == [True] * 5 + [False]
    counters = RedisCounters(way.link, way.names, Clock())
    for name in ("ann", "bob", "eve"):  # in a cluster these are in different places
        await counters.remember(name, "home")
        assert await counters.knows(name, "home")
        assert (await RedisMeter(way.link, way.names, Clock()).count(Quota("q", 2, 60.0), name)).remaining == 1
    async with listening(way) as channel:
        before = channel.looks
        await way.link.do(lambda client: client.publish(way.names.channel, b"1"))
        await until_async(lambda: channel.looks > before, "a look")
    assert way.told == []


async def test_a_server_alone(servers: Servers) -> None:
    """With a database of its own."""
    async with Way(f"{servers.single().url}/3") as way:
        await works(way)


async def test_a_server_with_a_user_and_a_password(servers: Servers) -> None:
    """A wrong password is no outage, which no text repeats."""
    server = servers.single()
    server.cli("ACL", "SETUSER", "gw", "on", ">s3cret", "~*", "&*", "+@all")
    server.cli("ACL", "SETUSER", "default", "off")
    async with Way(f"redis://gw@{LOOPBACK}:{server.port}", "s3cret") as way:
        await works(way)
    async with Way(f"redis://gw@{LOOPBACK}:{server.port}", "s3cret2") as way:
        with pytest.raises(DependencyFailed, match=r"state_misconfigured: .*state\.password") as caught:
            await way.link.open()
        assert "s3cret" not in str(caught.value)


async def test_a_user_with_the_rights_that_are_documented(servers: Servers) -> None:
    """Those in docs/deploy.md, and no other."""
    server = servers.single()
    words = RIGHTS_WRITTEN.search((ROOT / "docs/deploy.md").read_text())
    assert words is not None
    server.cli("ACL", "SETUSER", "gateway", "on", ">s3cret", *words[1].split())
    async with Way(f"redis://gateway@{LOOPBACK}:{server.port}", "s3cret") as way:
        await way.link.open()
        await works(way)
        assert way.refusals == []


async def test_a_user_that_may_not_run_scripts_is_a_wrong_configuration(servers: Servers) -> None:
    """Nothing could be counted: said at the start."""
    server = servers.single()
    server.cli("ACL", "SETUSER", "gw", "on", ">s3cret", "~*", "&*", "+@all", "-@scripting")
    async with Way(f"redis://gw@{LOOPBACK}:{server.port}", "s3cret") as way:
        with pytest.raises(DependencyFailed, match=r"state_misconfigured: .*too few rights"):
            await way.link.open()


async def test_a_user_without_rights_to_channels_still_counts(servers: Servers) -> None:
    """What Redis 7 gives to new users. It is told once that news do not arrive, and when they do."""
    server = servers.single()
    server.cli("ACL", "SETUSER", "gw", "on", ">s3cret", "~gw:*", "+@all", "resetchannels")
    told: list[str | None] = []

    async def look() -> None:
        return

    async with Way(f"redis://gw@{LOOPBACK}:{server.port}", "s3cret") as way:
        await way.link.open()
        channel = Channel(way.link, way.names.channel, look, told=told.append)
        channel.start()
        try:
            for _ in range(3):
                await channel.publish()
            assert await used_up(way) == [True] * 5 + [False]
            await until_async(lambda: told, "a word")
            assert channel.failing
            assert not channel.subscribed
            server.cli("ACL", "SETUSER", "gw", "&gw:*")
            await until_async(lambda: channel.subscribed, "a subscription")
        finally:
            await channel.aclose()
        assert (way.link.alive, way.link.outages, way.told, len(way.refusals)) == (True, 0, [], 1)
        assert ["permissions" in why if why else None for why in told] == [True, None]
        assert not channel.failing


async def test_a_server_at_a_socket(servers: Servers, tmp_path: Path) -> None:
    """Of the file system."""
    servers.single("--unixsocket", str(tmp_path / "r.sock"))
    async with Way(f"unix://{tmp_path}/r.sock") as way:
        await works(way)


async def test_a_server_over_tls(servers: Servers, tmp_path: Path) -> None:
    """Its certificate is checked."""
    authority = Authority(tmp_path)
    server = servers.single(authority=authority)
    async with Way(server.url, ca=authority.ca) as way:
        await works(way)
    (tmp_path / "other").mkdir()
    async with Way(server.url, ca=Authority(tmp_path / "other").ca) as way:
        with pytest.raises(DependencyFailed, match=r"state_misconfigured: .*state\.ca"):
            await way.link.open()


async def test_a_server_over_tls_must_have_the_name_that_is_asked_for(servers: Servers, tmp_path: Path) -> None:
    """The certificate is for the address."""
    authority = Authority(tmp_path)
    async with Way(servers.single(authority=authority).url.replace(LOOPBACK, "localhost"), ca=authority.ca) as way:
        with pytest.raises(DependencyFailed, match="state_misconfigured"):
            await way.link.open()


@pytest.fixture(params=["redis", "rediss"])
def authority(request: pytest.FixtureRequest, tmp_path: Path) -> Authority | None:
    """One for TLS."""
    return Authority(tmp_path) if request.param == "rediss" else None


def way_to(form: str, hosts: str, authority: Authority | None) -> Way:
    if authority is None:
        return Way(f"redis+{form}://{hosts}")
    return Way(f"rediss+{form}://{hosts}", ca=authority.ca)


async def test_a_cluster(servers: Servers, authority: Authority | None) -> None:
    """Three masters; any of them leads to the others."""
    nodes = servers.cluster(authority)
    async with way_to("cluster", f"{LOOPBACK}:{nodes[2].port},{LOOPBACK}:{nodes[0].port}", authority) as way:
        await works(way)


async def test_a_cluster_that_is_away(servers: Servers) -> None:
    """None of its nodes answers, before the first call: it is an outage, and found again."""
    node = servers.single("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    node.kill()
    async with Way(f"redis+cluster://{LOOPBACK}:{node.port}") as way:
        await way.link.open()
        assert not way.link.alive
        node.start()
        node.cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        await until_async(lambda: way.link.alive, "the cluster")


async def test_a_failover(servers: Servers, authority: Authority | None) -> None:
    """The master is killed: its replica has the counts, and takes over for who asks the sentinels."""
    master, replica, watchers = servers.sentinel(authority)
    hosts = ",".join(f"{LOOPBACK}:{watcher.port}" for watcher in watchers)
    async with way_to("sentinel", f"{hosts}/{SERVICE}", authority) as way, listening(way) as channel:
        await works(way)
        await until_async(lambda: _offset(master) == _offset(replica), "a replica that has everything")
        before = channel.looks
        master.kill()
        counters = RedisCounters(way.link, way.names, Clock())
        with pytest.raises(DependencyFailed):
            await counters.reserve(COUNTS)
        await until_async(lambda: way.link.alive, "a new master")
        assert isinstance(await counters.reserve(COUNTS), Over)
        await until_async(lambda: channel.subscribed and channel.looks > before, "a subscription to the new master")


@pytest.mark.parametrize("calls", [2, 3])
async def test_no_sentinel_is_lost_by_calls_at_once(servers: Servers, authority: Authority | None, calls: int) -> None:
    """The first that is asked is away: each of the calls moves the second to the front, where it stays."""
    _, _, watchers = servers.sentinel(authority)
    watchers[0].kill()
    hosts = ",".join(f"{LOOPBACK}:{watcher.port}" for watcher in watchers)
    async with way_to("sentinel", f"{hosts}/{SERVICE}", authority) as way:
        await asyncio.gather(*(way.link.do(lambda client: client.get("k")) for _ in range(calls)))
        manager = cast(Redis, way.client).connection_pool.sentinel_manager
        first, *rest = (sentinel.connection_pool.connection_kwargs["port"] for sentinel in manager.sentinels)
        assert {first, *rest} == {watcher.port for watcher in watchers}
        assert first != watchers[0].port


async def test_sentinels_are_closed_where_the_client_cannot_be(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is told when all is closed."""
    _, _, watchers = servers.sentinel()
    hosts = ",".join(f"{LOOPBACK}:{watcher.port}" for watcher in watchers)
    async with way_to("sentinel", f"{hosts}/{SERVICE}", None) as way:
        await way.link.do(lambda client: client.get("k"))
        manager = cast(Redis, way.client).connection_pool.sentinel_manager
        pools = [sentinel.connection_pool for sentinel in manager.sentinels]
        assert any(connection.is_connected for pool in pools for connection in pool._available_connections)

        async def broken() -> None:
            raise OSError("it cannot")

        with monkeypatch.context() as patched:
            patched.setattr(way.client, "aclose", broken)
            with pytest.raises(OSError, match="it cannot"):
                await disconnect(way.client)
        assert not any(connection.is_connected for pool in pools for connection in pool._available_connections)


def _offset(server: Server) -> str:
    words = server.cli("INFO", "replication")
    return next(line for line in words.splitlines() if line.startswith("master_repl_offset"))
