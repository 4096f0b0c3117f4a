"""Names of upstreams: every address is an endpoint, and what changes in the name system changes here.

The resolver is the test's own where addresses change; the system's is asked for what every machine knows.
"""

import asyncio
from collections.abc import Sequence

import pytest
from harness.certificates import Authority
from harness.client import request
from harness.site import Running, Site, until
from harness.upstream import OK, Line, Script, Upstream

from gateway.app.lookups import LEAST_SECONDS, MOST_ADDRESSES, system_resolver, usable
from gateway.errors import DependencyFailed


class Names:
    """A name system. found: addresses by name; a name that is not there is not found. asked: look-ups so far."""

    def __init__(self, **found: Sequence[str]) -> None:
        self.found = {name.replace("_", "."): list(addresses) for name, addresses in found.items()}
        self.asked = 0

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked += 1
        if name not in self.found:
            raise DependencyFailed("upstream_unreachable", "The upstream's name was not found.")
        return self.found[name]


def answering(name: bytes) -> Script:
    async def script(line: Line) -> None:
        while True:
            await line.request()
            line.send(OK.replace(b"ok", name))

    return script


async def at(site: Site, *hosts: str) -> list[Upstream]:
    """Servers at these addresses, on one port; each answers `u` and the last digit of its address."""
    found: list[Upstream] = []
    for host in hosts:
        port = found[0].port if found else 0
        name = b"u" + host[-1:].encode()
        found.append(await site.upstream(answering(name), port=port, host=host))
    return found


def endpoints(running: Running) -> list[str]:
    return [endpoint.address for endpoint in running.gateway.core.upstreams["u"].endpoints]


def told(running: Running) -> list[str]:
    return [event for _, event, _ in running.log.lines if event.startswith(("name", "addresses"))]


async def looked_again(running: Running, names: Names) -> None:
    """Once more, as after a connect that failed."""
    upstream = running.gateway.core.upstreams["u"]
    asked = names.asked
    assert upstream.changed is not None
    upstream.changed()
    await until(lambda: names.asked > asked)
    await asyncio.sleep(0)


async def test_every_address_of_a_name_is_an_endpoint(site: Site) -> None:
    """From the first request on."""
    first, _ = await at(site, "127.0.0.1", "127.0.0.2")
    site.resolve = Names(orders_test=["127.0.0.2", "127.0.0.1"])
    url = f"http://orders.test:{first.port}"
    running = await site.gateway(url, upstream={"balance": "round_robin"})
    client = await site.client(running)
    assert sorted([(await client.ask()).body for _ in range(4)]) == [b"u1", b"u1", b"u2", b"u2"]
    names = [endpoint.name for endpoint in running.gateway.core.upstreams["u"].endpoints]
    assert names == [f"{url} (127.0.0.1)", f"{url} (127.0.0.2)"]


async def test_the_host_that_is_sent_is_the_name(site: Site) -> None:
    """Where the endpoint's own is asked for: an address says less to a server of many names."""
    (server,) = await at(site, "127.0.0.1")
    site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway(f"http://orders.test:{server.port}", route={"forward": {"host": "upstream"}})
    await (await site.client(running)).ask()
    assert server.requests[0].one(b"host") == b"orders.test:%d" % server.port


async def test_the_certificate_must_have_the_name(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the address is."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    server = await site.upstream(tls=authority.server("orders.test"))
    site.resolve = Names(orders_test=["127.0.0.1"], other_test=["127.0.0.1"])
    for name, status in (("orders.test", 200), ("other.test", 502)):
        running = await site.gateway(f"https://{name}:{server.port}", upstream={"tls": {"ca": str(authority.ca)}})
        assert (await (await site.client(running)).ask()).status == status


async def test_an_address_that_is_gone_gets_no_more_requests(site: Site) -> None:
    """Its idle connection closes, what is under way there goes on, and a new address is used at once."""
    release = asyncio.Event()

    async def script(line: Line) -> None:
        while True:
            if (await line.request()).target == b"/public/slow":
                await release.wait()
            line.send(OK)

    old = await site.upstream(script)
    await site.upstream(answering(b"nw"), port=old.port, host="127.0.0.2")
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway(f"http://orders.test:{old.port}")
    idle, slow = await site.client(running), await site.client(running)
    assert (await idle.ask()).body == b"ok"
    await slow.send(request("/public/slow"))
    await old.got(2)
    assert (await idle.ask()).body == b"ok"  # on a second connection, which stays idle
    names.found["orders.test"] = ["127.0.0.2"]
    await looked_again(running, names)
    await until(lambda: endpoints(running) == ["127.0.0.2"])
    assert (await idle.ask()).body == b"nw"
    await asyncio.wait_for(old.lines[1].ended.wait(), 10)
    assert not old.lines[0].ended.is_set()
    release.set()
    assert (await slow.answer()).body == b"ok"
    await asyncio.wait_for(old.lines[0].ended.wait(), 10)
    assert told(running) == ["addresses changed"]


async def test_an_address_that_stays_is_as_it_was(site: Site) -> None:
    """The same object, with its connections and its health."""
    first, *_ = await at(site, "127.0.0.1", "127.0.0.2")
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway(f"http://orders.test:{first.port}")
    await (await site.client(running)).ask()
    (before,) = running.gateway.core.upstreams["u"].endpoints
    names.found["orders.test"] = ["127.0.0.2", "127.0.0.1"]
    await looked_again(running, names)
    await until(lambda: len(endpoints(running)) == 2)
    assert running.gateway.core.upstreams["u"].endpoints[0] is before
    assert len(before.idle) == 1


async def test_a_name_that_is_not_found_keeps_its_addresses(site: Site) -> None:
    """It is told once, shown by readiness and counted each time; and told again when it is found."""
    (server,) = await at(site, "127.0.0.1")
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway(f"http://orders.test:{server.port}")
    gone = names.found.pop("orders.test")
    for _ in range(2):
        await looked_again(running, names)
    assert (await (await site.client(running)).ask()).status == 200
    assert await running.warnings() == ("upstream_unresolved: u",)
    assert running.gateway.core.upstreams["u"].ledger.lookups == {"done": 1, "failed": 2}
    names.found["orders.test"] = gone
    await looked_again(running, names)
    assert await running.warnings() == ()
    assert told(running) == ["name not found", "name found again"]


async def test_an_empty_answer_is_none(site: Site) -> None:
    """Taken at its word, it would leave no endpoint at all."""
    (server,) = await at(site, "127.0.0.1")
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway(f"http://orders.test:{server.port}")
    names.found["orders.test"] = []
    await looked_again(running, names)
    assert endpoints(running) == ["127.0.0.1"]


async def test_a_connect_that_fails_has_the_name_looked_up(site: Site) -> None:
    """Not only when half a minute is over: a server that moved is found by the next requests."""
    (server,) = await at(site, "127.0.0.2")
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway(f"http://orders.test:{server.port}", upstream={"resolve": "1h"})
    client = await site.client(running)
    names.found["orders.test"] = ["127.0.0.2"]
    assert (await client.ask()).status == 502
    await until(lambda: endpoints(running) == ["127.0.0.2"])
    assert (await client.ask()).body == b"u2"


async def test_failures_do_not_become_a_flood_of_look_ups(site: Site) -> None:
    """One a second at most, however many connects fail."""
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway("http://orders.test:1")
    client, began = await site.client(running), asyncio.get_running_loop().time()
    for _ in range(50):
        assert (await client.ask()).status == 502
    assert names.asked <= 2 + (asyncio.get_running_loop().time() - began)


async def test_a_name_is_looked_up_again_after_its_time(site: Site) -> None:
    """`resolve: 1s`."""
    (server,) = await at(site, "127.0.0.1")
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway(f"http://orders.test:{server.port}", upstream={"resolve": "1s"})
    await until(lambda: names.asked >= 3)
    assert endpoints(running) == ["127.0.0.1"]


async def test_a_reload_keeps_the_addresses(site: Site) -> None:
    """And goes on looking, once for both generations."""
    (server,) = await at(site, "127.0.0.1")
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    running = await site.gateway(f"http://orders.test:{server.port}", upstream={"resolve": "1h"})
    names.found.pop("orders.test")
    asked = names.asked
    assert await running.gateway.reload() == []
    assert (endpoints(running), names.asked) == (["127.0.0.1"], asked)
    await looked_again(running, names)
    assert len([task for task in asyncio.all_tasks() if "Lookups" in str(task.get_coro())]) == 1


async def test_an_address_that_changes_during_a_reload_is_not_missed(site: Site) -> None:
    """The new generation was made with the old one, and is not adopted yet."""
    _, server = await at(site, "127.0.0.1", "127.0.0.2")
    names = Names(orders_test=["127.0.0.1"], slow_test=["127.0.0.1"])
    asked, answer = asyncio.Event(), asyncio.Event()

    async def resolve(name: str) -> Sequence[str]:
        if name == "slow.test":
            asked.set()
            await answer.wait()
        return await names(name)

    site.resolve = resolve
    url = f"http://orders.test:{server.port}"
    running = await site.gateway(url, upstream={"resolve": "1h"})
    old = running.gateway.core
    config = site.said(url, upstream={"resolve": "1h"})
    config["upstreams"]["v"] = {"endpoints": ["http://slow.test:1"]}
    running.write(config)
    await asyncio.sleep(LEAST_SECONDS)  # else the look-up that follows waits for that, and the reload does not
    reload = asyncio.create_task(running.gateway.reload())
    await asked.wait()
    names.found["orders.test"] = ["127.0.0.2"]
    await looked_again(running, names)
    await until(lambda: [endpoint.address for endpoint in old.upstreams["u"].endpoints] == ["127.0.0.2"])
    answer.set()
    assert await reload == []
    assert endpoints(running) == ["127.0.0.2"]
    assert (await (await site.client(running)).ask()).body == b"u2"


async def test_a_reload_that_fails_leaves_nothing_behind(site: Site) -> None:
    """It had looked for a new name of an upstream that runs: of that nothing is kept, and the others are followed."""
    site.expected_errors = True
    _, server = await at(site, "127.0.0.1", "127.0.0.2")
    names = site.resolve = Names(orders_test=["127.0.0.1"])
    url = f"http://orders.test:{server.port}"
    running = await site.gateway(url, upstream={"resolve": "1h"})
    names.found["orders.test"] = ["127.0.0.2"]
    (running.people.folder / "folder.log").mkdir()
    config = site.said(url, "http://other.test:1", upstream={"resolve": "1h"}, log={"access": "./folder.log"})
    running.write(config)
    assert [fault["code"] for fault in await running.gateway.reload()] == ["reload_failed"]
    assert await running.warnings() == ("configuration_refused",)
    await looked_again(running, names)
    await until(lambda: endpoints(running) == ["127.0.0.2"])


async def test_a_name_that_hangs_holds_up_no_other(site: Site) -> None:
    """Of one upstream: each name may have a name server of its own."""
    _, server = await at(site, "127.0.0.1", "127.0.0.2")
    names, hangs = Names(orders_test=["127.0.0.1"], a_test=["127.0.0.3"]), False

    async def resolve(name: str) -> Sequence[str]:
        if hangs and name == "a.test":
            await asyncio.get_running_loop().create_future()
        return await names(name)

    site.resolve = resolve
    running = await site.gateway("http://a.test:1", f"http://orders.test:{server.port}", upstream={"resolve": "1h"})
    hangs = True
    names.found["orders.test"] = ["127.0.0.2"]
    await looked_again(running, names)
    await until(lambda: "addresses changed" in told(running))
    assert running.gateway.core.upstreams["u"].ledger.lookups["failed"] == 0  # the other's has not ended


async def test_look_ups_outlive_what_nobody_foresaw(site: Site) -> None:
    """It is told once, other names are followed, and so is this one afterwards."""
    site.expected_errors = True
    _, server = await at(site, "127.0.0.1", "127.0.0.2")
    names, broken = Names(orders_test=["127.0.0.1"], a_test=["127.0.0.3"]), False

    async def resolve(name: str) -> Sequence[str]:
        found = await names(name)
        if broken and name == "a.test":
            raise RuntimeError("the resolver is broken")
        return found

    site.resolve = resolve
    running = await site.gateway("http://a.test:1", f"http://orders.test:{server.port}", upstream={"resolve": "1h"})
    broken = True
    names.found["orders.test"] = ["127.0.0.2"]
    for _ in range(2):
        await looked_again(running, names)
    assert endpoints(running) == ["127.0.0.3", "127.0.0.2"]
    assert [event for _, event, _ in running.log.errors] == ["look-ups fail"]
    broken = False
    names.found["a.test"] = ["127.0.0.4"]
    await looked_again(running, names)
    await until(lambda: endpoints(running) == ["127.0.0.4", "127.0.0.2"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "http://localhost:{}"])
async def test_what_does_not_change_is_not_looked_up(site: Site, url: str) -> None:
    """Addresses, and localhost, which is every family's loopback and one server."""
    names = site.resolve = Names()
    (server,) = await at(site, "127.0.0.1")
    running = await site.gateway(url.format(server.port))
    assert (await (await site.client(running)).ask()).status == 200
    assert (names.asked, len(endpoints(running))) == (0, 1)


async def test_a_name_that_hangs_does_not_hold_up_the_start(site: Site) -> None:
    """It goes on with the name, which the system may find when a request comes."""

    async def hanging(name: str) -> Sequence[str]:
        return await asyncio.get_running_loop().create_future()

    site.resolve = hanging
    running = await asyncio.wait_for(site.gateway("http://nowhere.invalid:1"), 10)
    assert endpoints(running) == ["nowhere.invalid"]


async def test_the_systems_resolver_finds_what_every_machine_knows() -> None:
    """The loopback name and addresses as they are; and says when there is nothing."""
    assert set(await system_resolver("localhost")) <= {"127.0.0.1", "::1"}
    assert await system_resolver("127.0.0.7") == ["127.0.0.7"]
    for name in ("nowhere.invalid", "x" * 70 + ".test"):
        with pytest.raises(DependencyFailed):
            await system_resolver(name)


@pytest.mark.parametrize(
    ("found", "used"),
    [
        (["10.0.0.10", "10.0.0.9", "10.0.0.10"], ("10.0.0.9", "10.0.0.10")),
        (["2001:db8::1", "10.0.0.1"], ("10.0.0.1",)),
        (["2001:db8::2", "2001:db8::1"], ("2001:db8::1", "2001:db8::2")),
        ([], ()),
    ],
)
def test_addresses_are_used_in_one_order(found: list[str], used: tuple[str, ...]) -> None:
    """Whatever order they came in, each once, and of one family."""
    assert usable(found) == used


@pytest.mark.parametrize(("count", "used"), [(MOST_ADDRESSES, MOST_ADDRESSES), (MOST_ADDRESSES + 1, MOST_ADDRESSES)])
def test_no_more_addresses_are_used_than_can_be_watched(count: int, used: int) -> None:
    """A name with thousands of them would be a flood of endpoints."""
    assert len(usable([f"10.0.{number // 256}.{number % 256}" for number in range(count)])) == used
