"""How often: by exact counts, over real sockets. Windows are a week long, so that no clock takes part."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from harness.client import Answer, Client, request
from harness.site import Running, Site

from edge.test_decide import DECIDE, about, put
from gateway.edge.quota import network

WEEK = "7d"
BEHIND = {"trusted_proxies": ["127.0.0.1"]}


def by(subject: Any, at_most: int = 2, **more: Any) -> dict[str, Any]:
    return {"by": subject, "at_most": at_most, "in": WEEK, **more}


def route(*rates: Mapping[str, Any], path: str = "/public/**", access: Any = "public", **more: Any) -> dict[str, Any]:
    methods = ["GET", "POST", "OPTIONS"]
    return {"path": path, "access": access, "methods": methods, "limits": {"rate": [*rates]}, **more}


async def limited(site: Site, *routes: Mapping[str, Any], **more: Any) -> Running:
    return await site.gateway(await site.upstream(), routes=routes, **more)


async def statuses(client: Client, times: int, path: str = "/public/x", *fields: bytes) -> list[int]:
    return [(await client.ask(path, *fields)).status for _ in range(times)]


def forwarded_for(address: str) -> bytes:
    return b"X-Forwarded-For: " + address.encode()


async def test_the_limit_passes_and_one_more_is_429(site: Site) -> None:
    """Both sides of the number; the answer says what holds and when to come back, and nothing is closed."""
    client = await site.client(await limited(site, route(by("address", 3))))
    answers = [await client.ask() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.one(b"ratelimit-policy") for answer in answers] == [b'"address";q=3;w=604800'] * 4
    assert [_remaining(answer) for answer in answers] == [b"2", b"1", b"0", b"0"]
    refused = answers[-1]
    assert refused.code == "rate_limited"
    assert refused.reason == b"Too Many Requests"
    assert json.loads(refused.body)["detail"] == "At most 3 requests in 604800 s by address."
    assert 604_800 < int(refused.one(b"retry-after")) <= 604_800 * 11 // 10
    assert refused.one(b"ratelimit") == b'"address";r=0;t=' + refused.one(b"retry-after")
    assert refused.all(b"connection") == []


def _remaining(answer: Answer) -> bytes:
    return answer.one(b"ratelimit").split(b";")[1].removeprefix(b"r=")


async def test_the_upstream_gets_no_more_than_the_limit(site: Site) -> None:
    """The refused ones stay here."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream, routes=[route(by("route", 2))]))
    await statuses(client, 5)
    assert len(upstream.requests) == 2


async def test_a_route_without_limits_says_nothing_of_them(site: Site) -> None:
    """And counts nothing."""
    running = await limited(site, {"path": "/public/**", "access": "public"})
    answer = await (await site.client(running)).ask()
    assert (answer.all(b"ratelimit"), answer.all(b"ratelimit-policy")) == ([], [])
    assert running.gateway.counts.keys == 0


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
async def test_every_method_counts(site: Site, method: str) -> None:
    """A HEAD costs the upstream what a GET does."""
    client = await site.client(await limited(site, route(by("route", 1))))
    assert (await client.ask(method=method)).status == 200
    assert (await client.ask()).status == 429
    refused = await client.ask(method=method)
    assert (refused.status, bool(refused.body)) == (429, method != "HEAD")


async def test_connections_of_one_address_count_together(site: Site) -> None:
    """A new connection is no new caller."""
    running = await limited(site, route(by("address")))
    found = [(await (await site.client(running)).ask()).status for _ in range(3)]
    assert found == [200, 200, 429]


async def test_a_forged_address_gives_no_new_count(site: Site) -> None:
    """Who is no trusted proxy says nothing about where it comes from, in neither dialect."""
    client = await site.client(await limited(site, route(by("address"))))
    found = [
        (await client.ask("/public/x", forwarded_for(f"203.0.113.{n}"), b"Forwarded: for=203.0.113.%d" % n)).status
        for n in range(3)
    ]
    assert found == [200, 200, 429]


async def test_addresses_behind_a_trusted_proxy_count_apart(site: Site) -> None:
    """The one that the proxy has seen counts, not what its client wrote before it."""
    client = await site.client(await limited(site, route(by("address", 1)), listen=BEHIND))
    assert await statuses(client, 2, "/public/x", forwarded_for("203.0.113.1")) == [200, 429]
    assert await statuses(client, 2, "/public/x", forwarded_for("203.0.113.2")) == [200, 429]
    assert await statuses(client, 1, "/public/x", forwarded_for("198.51.100.9, 203.0.113.2")) == [429]


async def test_an_ipv6_site_is_one_caller(site: Site) -> None:
    """Its holder has 2**64 addresses; the next /64 is somebody else's."""
    client = await site.client(await limited(site, route(by("address", 1)), listen=BEHIND))
    asked = ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:3::1")
    assert [(await client.ask("/public/x", forwarded_for(at))).status for at in asked] == [200, 429, 200]
    assert network("2001:db8:1:2::1") == "2001:db8:1:2::/64"


def test_an_ipv4_address_within_ipv6_is_itself() -> None:
    """In one /64 are all of them: the first would shut out the others."""
    assert network("::ffff:192.0.2.1") == "192.0.2.1"
    assert network("::fffe:192.0.2.1") == "::/64"


async def test_refused_credentials_count_by_address(site: Site) -> None:
    """Whoever tries tokens is stopped before the next one is looked at."""
    running = await limited(site, route(by("address", 3), path="/secure/**", access="protected"))
    client = await site.client(running)
    assert await statuses(client, 4, "/secure/x", b"Authorization: Bearer nobody") == [401, 401, 401, 429]
    assert (await client.ask("/secure/x", running.people.ada.field)).status == 429


async def test_a_refused_request_tells_the_limit_too(site: Site) -> None:
    """A 401 counts, so it says what is left."""
    client = await site.client(await limited(site, route(by("address", 3), path="/secure/**", access="protected")))
    answer = await client.ask("/secure/x")
    assert (answer.status, _remaining(answer)) == (401, b"2")


@pytest.mark.parametrize("subject", ["account", "grant", "tenant"])
async def test_callers_count_apart_from_one_address(site: Site, subject: str) -> None:
    """One that has used its own up does not stop the other; who is not let in is not counted."""
    running = await limited(site, route(by(subject), path="/auth/**", access="authenticated"))
    client, people = await site.client(running), running.people
    assert await statuses(client, 3, "/auth/x") == [401] * 3
    assert await statuses(client, 3, "/auth/x", people.ada.field) == [200, 200, 429]
    assert await statuses(client, 3, "/auth/x", people.bob.field) == [200, 200, 429]


async def test_a_grant_is_not_its_account(site: Site) -> None:
    """Ada's connection string is another grant of the same account."""
    string = b"X-Mycelium-Connection-String: "
    one = await limited(site, route(by("grant", 1), path="/auth/**", access="authenticated"))
    client, people = await site.client(one), one.people
    assert await statuses(client, 2, "/auth/x", people.ada.field) == [200, 429]
    assert await statuses(client, 2, "/auth/x", string + people.string) == [200, 429]
    other = await limited(site, route(by("account", 1), path="/auth/**", access="authenticated"))
    client = await site.client(other)
    assert await statuses(client, 1, "/auth/x", people.ada.field) == [200]
    assert await statuses(client, 1, "/auth/x", string + people.string) == [429]


async def test_a_header_counts_by_its_value(site: Site) -> None:
    """In any case of its name; whoever leaves it out shares one count."""
    client = await site.client(await limited(site, route(by({"header": "X-Api-Client"}, 1))))
    long = b"x" * 200
    rows: list[tuple[tuple[bytes, ...], int]] = [
        ((b"X-Api-Client: a",), 200),
        ((b"x-api-client: a",), 429),
        ((b"X-API-CLIENT: b",), 200),
        ((b"X-Api-Client: " + long,), 200),
        ((b"X-Api-Client: " + long,), 429),
        ((b"X-Api-Client: " + long + b"y",), 200),
        ((b"X-Api-Client: a,b",), 200),
        ((), 200),
        ((), 429),
    ]
    assert [(await client.ask("/public/x", *fields)).status for fields, _ in rows] == [status for _, status in rows]


@pytest.mark.parametrize(
    "again",
    [(b" k ",), (b"k \t",), (b"\tk",), (b"k", b""), (b"", b"k"), (b" ", b"k", b"\t")],
)
async def test_blanks_and_empty_lines_make_no_other_value(site: Site, again: tuple[bytes, ...]) -> None:
    """The upstream takes it for the same caller, so it is the same count."""
    client = await site.client(await limited(site, route(by({"header": "x-client"}, 1))))
    assert await statuses(client, 1, "/public/x", b"X-Client: k") == [200]
    assert await statuses(client, 1, "/public/x", *(b"X-Client:" + value for value in again)) == [429]


async def test_a_header_that_is_repeated_makes_no_new_count(site: Site) -> None:
    """Whichever of the values the upstream goes by: who sends several is counted with those who leave it out."""
    client = await site.client(await limited(site, route(by({"header": "x-client"}, 1))))
    rows: list[tuple[tuple[bytes, ...], int]] = [
        ((b"k", b"1"), 200),
        ((b"k", b"2"), 429),
        ((b"3", b"k"), 429),
        ((b"k", b"k"), 429),
        ((b"4", b"k", b"5"), 429),
        ((), 429),
        ((b"k",), 200),
    ]
    for values, status in rows:
        assert await statuses(client, 1, "/public/x", *(b"X-Client: " + value for value in values)) == [status]


async def test_routes_count_apart_and_together_where_they_say_so(site: Site) -> None:
    """`shared` makes one count of several routes'."""
    routes = (
        route(by("address"), path="/a/**"),
        route(by("address"), path="/b/**"),
        route(by("address", shared="api"), path="/c/**"),
        route(by("address", shared="api"), path="/d/**"),
    )
    client = await site.client(await limited(site, *routes))
    assert await statuses(client, 3, "/a/x") == [200, 200, 429]
    assert await statuses(client, 3, "/b/x") == [200, 200, 429]
    assert await statuses(client, 1, "/c/x") == [200]
    assert await statuses(client, 2, "/d/x") == [200, 429]
    assert await statuses(client, 1, "/c/x") == [429]


async def test_all_rules_hold_and_one_that_refuses_uses_up_no_other(site: Site) -> None:
    """The smaller is met first; asking on does not use up the larger one."""
    rules = ({**by("route", 2), "in": "6d"}, by("route", 5))
    client = await site.client(await limited(site, route(*rules)))
    answers = [await client.ask() for _ in range(6)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429, 429, 429]
    assert answers[-1].one(b"ratelimit-policy") == b'"route-518400s";q=2;w=518400, "route-604800s";q=5;w=604800'
    first, second = answers[-1].one(b"ratelimit").split(b", ")
    assert first.startswith(b'"route-518400s";r=0;')
    assert second.startswith(b'"route-604800s";r=3;')


async def test_rules_before_and_after_the_credential_are_both_told(site: Site) -> None:
    """Each in field lines of its own, which are one list."""
    running = await limited(site, route(by("address", 5), by("account", 3), path="/auth/**", access="authenticated"))
    client = await site.client(running)
    answer = await client.ask("/auth/x", running.people.ada.field)
    assert answer.all(b"ratelimit-policy") == [b'"address";q=5;w=604800', b'"account";q=3;w=604800']
    assert [line.split(b";")[1] for line in answer.all(b"ratelimit")] == [b"r=4", b"r=2"]


async def test_a_refusal_is_counted_and_logged_under_its_code(site: Site) -> None:
    """The same code in the answer, the log and the metric."""
    running = await limited(site, route(by("address", 1)))
    client = await site.client(running)
    await statuses(client, 2)
    metrics = running.gateway.metrics().decode()
    assert (
        'gateway_requests_total{reason="rate_limited",route="GET,OPTIONS,POST /public/**",status="4xx"} 1.0' in metrics
    )
    assert "gateway_limit_keys 1.0" in metrics
    assert [line["reason"] for line in await running.lines()] == [None, "rate_limited"]


async def test_a_mployr_route_answers_in_its_envelope(site: Site) -> None:
    """As its seed words a 429."""
    client = await site.client(await limited(site, route(by("route", 1), errors="mployr")))
    await client.ask()
    refused = await client.ask()
    assert (refused.status, refused.one(b"content-type")) == (429, b"application/json")
    said = json.loads(refused.body)
    assert said == {"success": False, "message": "Too Many Requests", "retry_after": int(refused.one(b"retry-after"))}


async def test_a_reload_is_no_fresh_start(site: Site) -> None:
    """Counts go on where the limit is the same, also when its number was turned; another window begins anew."""
    running = await limited(site, route(by("address", 2)))
    client = await site.client(running)
    assert await statuses(client, 3) == [200, 200, 429]

    async def reload(**rate: Any) -> None:
        said = json.loads(running.config.read_text())
        said["routes"][0]["limits"]["rate"][0].update(rate)
        running.write(said)
        assert await running.gateway.reload() == []

    await reload()
    assert await statuses(client, 1) == [429]
    await reload(at_most=3)
    assert await statuses(client, 2) == [200, 429]
    await reload(at_most=1)
    assert await statuses(client, 1) == [429]
    await reload(**{"in": "6d"})
    assert await statuses(client, 2) == [200, 429]
    assert len(running.gateway.counts.tables) == 1


async def test_a_websocket_counts_once(site: Site) -> None:
    """Its handshake is the request; what goes through it is not looked at."""
    from edge.test_tunnel import echo, frame, opened

    running = await site.gateway(await site.upstream(echo), routes=[route(by("route", 1))])
    client, answer = await opened(site, running)
    assert answer.status == 101
    assert _remaining(answer) == b"0"
    for _ in range(5):
        await client.send(frame(b"x"))
        await client.exactly(3)
    _, refused = await opened(site, running)
    assert refused.status == 429


@pytest.mark.parametrize(("kind", "status"), [("nginx", 403), ("traefik", 429), ("haproxy", 429), ("caddy", 429)])
async def test_what_a_data_plane_asks_about_counts(site: Site, kind: str, status: int) -> None:
    """By the client that it asks for; nginx understands no 429."""
    running = await site.gateway("http://127.0.0.1:9", routes=[route(by("address", 1))], decide=DECIDE)
    client = await site.client(running)

    async def ask(address: str) -> Answer:
        return await put(client, about("/public/x", forwarded_for(address), kind=kind))

    assert [(await ask("203.0.113.1")).status, (await ask("203.0.113.2")).status] == [200, 200]
    refused = await ask("203.0.113.1")
    assert (refused.status, refused.one(b"x-gateway-code")) == (status, b"rate_limited")
    assert refused.all(b"retry-after")
    assert (await ask("203.0.113.3")).status == 200


async def test_what_a_data_plane_asks_about_counts_by_account_and_header(site: Site) -> None:
    """The caller is known after the credential; headers are those that the data plane passes on."""
    rules = (by("account", 2), by({"header": "x-client"}, 3))
    routes = [route(*rules, path="/auth/**", access="authenticated")]
    running = await site.gateway("http://127.0.0.1:9", routes=routes, decide=DECIDE)
    client, people = await site.client(running), running.people

    async def ask(*fields: bytes) -> int:
        return (await put(client, about("/auth/x", *fields, kind="traefik"))).status

    assert [await ask(people.ada.field, b"X-Client: a") for _ in range(3)] == [200, 200, 429]
    assert await ask(people.bob.field, b"X-Client: a") == 429
    assert await ask(people.bob.field, b"X-Client: b") == 200


async def test_pipelined_requests_count_one_by_one(site: Site) -> None:
    """Three at once: each has its answer, in order."""
    client = await site.client(await limited(site, route(by("route", 2))))
    await client.send(*[request() for _ in range(3)])
    assert [(await client.answer()).status for _ in range(3)] == [200, 200, 429]
